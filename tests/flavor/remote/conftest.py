"""Endpoints that end with the test, and breakers that know nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from small_endpoints import Endpoint

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
