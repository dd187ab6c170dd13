"""Events are tags first, and rows of the history where there is one."""

import itertools
from pathlib import Path

import pytest
from histories import everything
from mlflow import MlflowClient

import metamodel
from metamodel.exceptions import InputError, StorageFailed
from metamodel.lineage.history_store import HistoryStore
from metamodel.tracking.event_history import TagsAndHistory, event_log
from metamodel.tracking.events import VersionTags

_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    client, name = MlflowClient(), f"event-history-{next(_numbers)}"
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, "s3://models/nowhere")
    return name


def test_without_a_history_events_are_tags_alone(monkeypatch):
    monkeypatch.delenv("METAMODEL_HISTORY", raising=False)
    assert isinstance(event_log(), VersionTags)


def test_a_promotion_is_written_into_the_history_of_the_environment(name, tmp_path, monkeypatch):
    monkeypatch.setenv("METAMODEL_HISTORY", str(tmp_path / "history"))
    metamodel.promote(name, 1, approved_by="ann", note="first")
    metamodel.promote(name, 2)
    metamodel.rollback(name)
    events = everything(HistoryStore(tmp_path / "history"))["events"].sort_values("time")
    assert events["kind"].tolist() == ["promote", "promote", "rollback"]
    assert events["version"].tolist() == [1, 2, 1]
    assert events["approved_by"].tolist() == ["ann", "", ""]
    assert events["id"].tolist() == [event.id for event in VersionTags().of(name)]


def test_a_history_that_fails_loses_no_promotion(name, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise StorageFailed("No space left.")

    with monkeypatch.context() as patch:
        patch.setattr(HistoryStore, "append_event", full)
        _, moved = metamodel.promote(name, 1, history=tmp_path / "history")
    assert moved
    said = capsys.readouterr().err
    assert f"{name!r} has its alias 'champion' at version 1" in said
    assert "but the event is missing in the history (No space left.)" in said
    assert f"metamodel history {name} --rebuild" in said
    assert [event.version for event in VersionTags().of(name)] == ["1"]


def test_a_folder_that_is_none_is_told_before_the_alias_moves(name, tmp_path):
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(InputError, match="is no history"):
        metamodel.promote(name, 1, history=tmp_path)
    assert MlflowClient().get_registered_model(name).aliases == {}


def test_events_are_read_from_the_tags(name, tmp_path: Path):
    metamodel.promote(name, 1)
    assert [event.version for event in TagsAndHistory(HistoryStore(tmp_path)).of(name)] == ["1"]
