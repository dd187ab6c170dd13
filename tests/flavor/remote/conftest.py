"""Endpoints that end with the test, breakers that know nothing, and a child that others fitted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from array_children import refer_to_array_child
from small_endpoints import Endpoint

import metamodel
from metamodel.flavor.remote import endpoint as endpoints


@pytest.fixture
def start() -> Iterator[Callable[..., Endpoint]]:
    """Starts endpoints that end with the test."""
    started: list[Endpoint] = []

    def one(*args: Any, **kwargs: Any) -> Endpoint:
        started.append(Endpoint(*args, **kwargs))
        return started[-1]

    yield one
    for endpoint in started:
        endpoint.stop()


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    """No breaker remembers another test's failures."""
    endpoints._breakers.clear()


@pytest.fixture
def of_array(tmp_path: Path) -> metamodel.MetaModel:
    """A meta-model with one child, 100 b + a, which was fitted on an array."""
    return refer_to_array_child(tmp_path)
