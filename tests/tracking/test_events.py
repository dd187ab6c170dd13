"""Events of versions: written and read again, and told from what people wrote."""

import pytest

from metamodel.tracking.events import Event, who


def test_an_event_is_read_as_it_was_written_and_what_is_empty_is_left_out() -> None:
    event = Event.now(kind="promote", name="sales", alias="champion", version="8", replaced="7", note="façade")
    text = event.to_json()
    assert Event.from_json(text) == event
    assert "approved_by" not in text
    assert event.when.endswith("+00:00")


@pytest.mark.parametrize("text", ["yes", "{}", "[]", '{"id": "a", "odd": 1}', '{"id": "a"}', "null"])
def test_what_is_no_event_is_none(text: str) -> None:
    assert Event.from_json(text) is None


def test_two_events_of_the_same_move_have_two_names() -> None:
    facts = {"kind": "promote", "name": "sales", "alias": "champion", "version": "8", "replaced": "7"}
    assert Event.now(**facts).id != Event.now(**facts).id


def test_who_is_the_user_of_the_tracking_server_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    assert who() == "ann"
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    assert who()
