"""Two who set the same tag or alias at once: MLflow's own store, with both where it has looked and not yet written."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.store.model_registry.dbmodels.models import SqlModelVersionTag, SqlRegisteredModelAlias
from sqlalchemy import event
from sqlalchemy.orm import Session

from metamodel.tracking.registry_writes import set_alias, set_version_tag


@pytest.fixture
def model() -> Iterator[str]:
    """A registered model of one version."""
    client, name = MlflowClient(), "written-at-once"
    client.create_registered_model(name)
    client.create_model_version(name, "runs:/none/model")
    yield name
    client.delete_registered_model(name)


@pytest.fixture
def meeting() -> Iterator[None]:
    """Let two calls insert a tag or an alias when both of them have found none."""
    both = threading.Barrier(2)

    def wait_for_the_other(session: Session, *_: Any) -> None:
        if any(isinstance(row, SqlModelVersionTag | SqlRegisteredModelAlias) for row in session.new):
            both.wait(60)

    event.listen(Session, "before_flush", wait_for_the_other)
    yield
    event.remove(Session, "before_flush", wait_for_the_other)


def _twice_at_once(call: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as threads:
        for waiting in [threads.submit(call) for _ in range(2)]:
            waiting.result()


@pytest.mark.usefixtures("meeting")
def test_a_tag_that_two_set_at_once_is_set_and_none_of_them_fails(model: str) -> None:
    _twice_at_once(lambda: set_version_tag(model, "1", "event", "promoted"))
    assert MlflowClient().get_model_version(model, "1").tags == {"event": "promoted"}


@pytest.mark.usefixtures("meeting")
def test_an_alias_that_two_set_at_once_is_set_and_none_of_them_fails(model: str) -> None:
    _twice_at_once(lambda: set_alias(model, "champion", "1"))
    assert str(MlflowClient().get_model_version_by_alias(model, "champion").version) == "1"


@pytest.mark.usefixtures("meeting")
def test_mlflow_itself_refuses_one_of_the_two(model: str) -> None:
    with pytest.raises(MlflowException, match="UNIQUE constraint failed"):
        _twice_at_once(lambda: MlflowClient().set_model_version_tag(model, "1", "event", "promoted"))


def test_what_is_refused_each_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def refuse(self: MlflowClient, name: str, version: str, key: str, value: str) -> None:
        calls.append(key)
        raise MlflowException("the disk of the database is full", error_code=BAD_REQUEST)

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", refuse)
    with pytest.raises(MlflowException, match="the disk of the database is full"):
        set_version_tag("sales", "1", "event", "promoted")
    assert calls == ["event"] * 3


def test_a_version_that_is_not_there_is_refused_at_once(model: str) -> None:
    with pytest.raises(MlflowException, match=r"Model Version \(name=written-at-once, version=7\) not found"):
        set_version_tag(model, "7", "event", "promoted")
