"""The application alone, without a server: what it answers, and on which thread."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from serving import JSON, PARQUET, ROW, records

import metamodel
from metamodel.flavor import body_tables
from metamodel.serving import app
from metamodel.serving.app import Limits, Service
from metamodel.serving.body_reader import BodyReader
from metamodel.serving.json_request import PlainRequest
from metamodel.serving.prometheus import Figures
from metamodel.serving.scorer import Reply, Scorer


@pytest.fixture
def service(bundle: Path) -> Iterator[Service]:
    model = metamodel.load_model(bundle, cache_bytes=2**20)
    figures = Figures(1, model.route.form(model.options()).statuses)
    service = Service(Scorer(model, max_rows=500), figures.of_worker(0), Limits())
    yield service
    service.close()


def _ask(service: Service, body: str | bytes, *messages: dict[str, Any], kind: str = JSON) -> list[dict[str, Any]]:
    """Send a body, or a first part of it and then the messages; returns what is sent back."""
    data = body.encode() if isinstance(body, str) else body
    waiting = [{"type": "http.request", "body": data, "more_body": bool(messages)}, *messages]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/invocations", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    asyncio.run(service(scope, receive, send))
    return sent


def _threads_of(service: Service, monkeypatch: pytest.MonkeyPatch, *bodies: str) -> list[bool]:
    """Say for each body whether a thread answered it."""
    answer, found = service.scorer.answer, []

    def noted(request: PlainRequest) -> Reply:
        found.append(threading.current_thread() is not threading.main_thread())
        return answer(request)

    monkeypatch.setattr(service.scorer, "answer", noted)
    for body in bodies:
        assert _ask(service, body)[0]["status"] == 200
    return found


def test_a_body_that_breaks_off_is_not_answered(service: Service) -> None:
    assert _ask(service, records({}), {"type": "http.disconnect"}) == []
    assert service.scorer.model.stats()["rows"] == {}
    assert _ask(service, records({}))[0]["status"] == 200


def test_whatever_goes_wrong_is_a_counted_500_without_the_rows(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(service.scorer, "answer", fail)
    start, body = _ask(service, records({"country": "marker-41c7"}))
    assert (start["status"], body["body"]) == (500, b"Internal Server Error")
    assert 'metamodel_requests_total{code="500"} 1.0' in service.figures.all.text().decode()
    assert "marker-41c7" not in caplog.text


def test_only_what_is_in_memory_and_was_not_slow_lately_is_answered_on_the_loop(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_SLOW_SECONDS", 10.0)
    fr, de = records({}), records({"country": "DE"})
    assert _threads_of(service, monkeypatch, fr, fr, de, de) == [True, False, True, False]


@pytest.mark.parametrize(
    ("times", "is_slow"),
    [
        ([(4.0, 4.0)], True),  # it computes
        ([(4.0, 0.0)], False),  # the machine is busy
        ([(4.0, 0.0), (0.0, 0.0)], False),
        ([(4.0, 0.0), (4.0, 0.0)], True),  # it waits for something
        ([(4.0, 4.0)] + [(0.0, 0.0)] * 400, False),
    ],
)
def test_an_answer_was_slow_if_it_computed_or_if_two_in_a_row_took_long(
    service: Service, monkeypatch: pytest.MonkeyPatch, times: list[tuple[float, float]], *, is_slow: bool
) -> None:
    # What is warmed up here may itself take long on a busy machine.
    _ask(service, records({}))
    service._longest_seconds = service._last_seconds = 0.0
    for seconds, of_processor in times:
        service._learn(seconds, of_processor)
    assert _threads_of(service, monkeypatch, records({})) == [is_slow]


def test_a_small_body_that_is_not_plain_is_parsed_as_such_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, found = type(service.scorer.reader).read_plain, []

    def noted(reader: BodyReader, *given: Any) -> PlainRequest | None:
        found.append(read(reader, *given))
        return found[-1]

    monkeypatch.setattr(BodyReader, "read_plain", noted)
    assert _ask(service, records({"store": None}))[0]["status"] == 200
    assert found == [None]
    assert _ask(service, records(*[{"store": None}] * 100))[0]["status"] == 200  # more than is tried on the loop
    assert found == [None, None]


def test_stacked_rows_are_answered_on_the_loop_at_once(plain_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = metamodel.load_model(plain_model)
    figures = Figures(1, model.route.form(model.options()).statuses)
    service = Service(Scorer(model, max_rows=500), figures.of_worker(0), Limits())
    monkeypatch.setattr(app, "_SLOW_SECONDS", 10.0)
    assert _threads_of(service, monkeypatch, records({}), records({"country": "nowhere"})) == [False, True]
    service.close()


def test_a_parquet_body_that_opens_to_too_much_is_too_large(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_tables, "opened_bytes", lambda *_: 2**31)
    buffer = io.BytesIO()
    pd.DataFrame([ROW]).to_parquet(buffer, index=False)
    start, body = _ask(service, buffer.getvalue(), kind=PARQUET)
    assert start["status"] == 413
    assert "open to 2,147,483,648 bytes" in json.loads(body["body"])["message"]


def test_rows_of_parquet_are_counted_before_they_are_read(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    pd.DataFrame([ROW] * 501).to_parquet(buffer, index=False)
    monkeypatch.setattr(pd, "read_parquet", None)
    start, body = _ask(service, buffer.getvalue(), kind=PARQUET)
    assert (start["status"], json.loads(body["body"])["message"]) == (
        413,
        "The request has 501 rows; this server takes 500. Send them in parts.",
    )
