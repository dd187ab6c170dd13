"""Aliases that are promoted, pinned, taken away, or cannot be looked up."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from reference_stores import FAST, Registered, refer_to
from registered_children import register_all, run_of

import metamodel
from metamodel.common.byte_cache import ByteCache
from metamodel.flavor.remote import aliases as places
from metamodel.flavor.remote.throttle import throttle_for

pytestmark = [pytest.mark.server, pytest.mark.tableless]


@pytest.fixture
def two_versions(registered: Registered) -> Iterator[str]:
    """A registered model whose champion is the child of store 1; version 2 is that of store 2."""
    name = "promoted-1"
    register_all([name], registered.sources[1:2])
    client = MlflowClient()
    client.create_model_version(name, registered.sources[2], run_of(registered.sources[2]))
    yield name
    client.delete_registered_model(name)


def test_a_promoted_child_is_picked_up_without_a_new_version(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01)
    rows, model = refer_to(registered, two_versions, tmp_path / "bundle", settings=settings)
    before = model.predict(rows)["prediction"]
    MlflowClient().set_registered_model_alias(two_versions, "champion", "2")
    time.sleep(0.02)

    after = model.predict(rows)["prediction"]

    features = rows[["x", "z"]]
    np.testing.assert_allclose(before, registered.bundled.child(1).predict(features))
    np.testing.assert_allclose(after, registered.bundled.child(2).predict(features))


def test_a_pinned_child_stays(registered: Registered, two_versions: str, tmp_path: Path) -> None:
    rows, model = refer_to(registered, two_versions, tmp_path / "bundle", settings=FAST, pin=True)
    MlflowClient().set_registered_model_alias(two_versions, "champion", "2")

    answers = model.predict(rows)["prediction"]

    np.testing.assert_allclose(answers, registered.bundled.child(1).predict(rows[["x", "z"]]))


def test_where_the_server_is_gone_the_last_known_child_goes_on(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01, patience_seconds=6)
    rows, model = refer_to(registered, two_versions, tmp_path / "bundle", settings=settings)
    before = model.predict(rows)
    registered.proxy.broken_until = math.inf
    time.sleep(0.02)

    pd.testing.assert_frame_equal(model.predict(rows), before)
    registered.proxy.broken_until = 0.0


def test_a_known_child_waits_briefly_for_the_server_and_once_a_refresh(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    uri = f"models:/{two_versions}@champion"
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=3600)
    throttle = throttle_for(mlflow.get_tracking_uri(), 500, 120)
    known = places.place_now(uri, "key", settings, throttle)
    places._resolved = ByteCache(limit=1000)  # as if the time to refresh had come
    registered.proxy.broken_until = math.inf
    started = time.monotonic()
    assert [places.place_now(uri, "key", settings, throttle) for _ in range(3)] == [known] * 3
    took, registered.proxy.broken_until = time.monotonic() - started, 0.0
    assert took < 60  # and not three times the patience
    assert not throttle.limiter.given_up(120)


def test_an_alias_that_was_taken_away_is_not_followed_any_more(
    registered: Registered, two_versions: str, tmp_path: Path
) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01, patience_seconds=1)
    rows, model = refer_to(registered, two_versions, tmp_path / "bundle", settings=settings)
    model.predict(rows)
    MlflowClient().delete_registered_model_alias(two_versions, "champion")
    time.sleep(0.02)

    answers = model.predict(rows, {"detail": True})

    assert set(answers["status"]) == {"failed"}
    assert answers["error"].str.contains("alias champion not found").all()
    registered.proxy.broken_until = math.inf
    assert set(model.predict(rows)["status"]) == {"failed"}  # nor where the server cannot say so again
    registered.proxy.broken_until = 0.0
