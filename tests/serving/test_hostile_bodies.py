"""Bodies that no client means to send: whatever comes is answered, and refusals are of the caller's making."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import COLUMNS, CSV, JSON, PARQUET, ROW, parquet, records

import metamodel
from metamodel.serving.app import Limits, Service
from metamodel.serving.prometheus import Figures
from metamodel.serving.scorer import Scorer

_MARK = "marker-41c7"


@pytest.fixture(scope="module")
def service(bundle: Path) -> Iterator[Service]:
    model = metamodel.load_model(bundle)
    figures = Figures(1, model.route.form(model.options()).statuses)
    service = Service(Scorer(model, max_rows=500), figures.of_worker(0), Limits())
    yield service
    service.close()


def _answer(service: Service, body: bytes, kind: str = JSON) -> tuple[int, str]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/invocations", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    asyncio.run(service(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode()


def _nested(levels: int, inner: str = "1") -> str:
    return "[" * levels + inner + "]" * levels


_DIGITS = "7" * 5000

_WITH = '{"dataframe_records": [{"country": %s, "store": %s, "price": %s, "count": %s}]}'

_SPLIT = '{"dataframe_split": {"columns": %s, "index": %s, "data": [["FR", 1, 0.5, 3]]}}'

_NAMES = json.dumps(COLUMNS[:4])

UNREADABLE = {
    **{
        f"nested {levels}": f'{{"inputs": {_nested(levels)}}}'
        for levels in (900, 960, 985, 990, 995, 1000, 5000, 100_000)
    },
    **{
        f"nested {levels}, in column {i}": _WITH % tuple(_nested(levels) if i == j else "1" for j in range(4))
        for i in range(4)
        for levels in (900, 960, 985, 990)
    },
    **{f"digits in column {i}": _WITH % tuple(_DIGITS if i == j else "1" for j in range(4)) for i in range(4)},
    "digits in the index": _SPLIT % (_NAMES, f"[{_DIGITS}]"),
    "digits in params": records({}, params={"detail": 0}).replace("0}}", _DIGITS + "}}"),
    "nested params": records({}, params={"detail": 0}).replace(": 0}", ": " + _nested(970) + "}"),
    "names that are lists": _SPLIT % ('[["country"], "store", "price", "count"]', "[0]"),
    "all names are lists": _SPLIT % ('[["country"], ["store"], ["price"], ["count"]]', "[0]"),
    "names that are lists of lists": _SPLIT % ('[[["country"]], [["store"]], [["price"]], [["count"]]]', "[0]"),
    "names that are objects": _SPLIT % ('[{"a": 1}, "store", "price", "count"]', "[0]"),
    "an index of lists": _SPLIT % (_NAMES, "[[1]]"),
    "an index of objects": _SPLIT % (_NAMES, '[{"a": 1}]'),
    "a name that is a number": _SPLIT % ('[1, "store", "price", "count"]', "[0]"),
    "a name that is null": _SPLIT % ('[null, "store", "price", "count"]', "[0]"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_that_cannot_be_read_is_its_senders_fault(service: Service, name: str) -> None:
    status, answer = _answer(service, UNREADABLE[name].encode())
    assert status in (200, 400)
    if status == 400:
        message = json.loads(answer)["message"]
        assert "\n" not in message
        assert "7777" not in message


def _mutated(random_state: random.Random, body: bytes) -> bytes:
    """Cut, repeat, swap and overwrite pieces."""
    changed = bytearray(body)
    for _ in range(random_state.randint(1, 4)):
        start, stop = sorted(random_state.randrange(len(changed) + 1) for _ in range(2))
        piece = random_state.choice(
            [
                b"",
                b"null",
                b"[",
                b"]]",
                b"{}",
                b'"',
                b",",
                b"\\u0000",
                b"1e999",
                b"-0",
                b"\xff",
                b"[[1]]",
                changed[start:stop] * 2,
            ]
        )
        changed[start : min(stop, start + random_state.randint(0, 12))] = piece
    return bytes(changed)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (records({"country": _MARK}, {"price": None}, params={"detail": True}).encode(), JSON),
        (
            json.dumps(
                {"dataframe_split": {"columns": COLUMNS[:4], "index": [0], "data": [[_MARK, 1, 0.5, 3]]}}
            ).encode(),
            JSON,
        ),
        (
            json.dumps(
                {"inputs": {name: [value, value] for name, value in (ROW | {"country": _MARK}).items()}}
            ).encode(),
            JSON,
        ),
        (f"country,store,price,count\n{_MARK},1,0.5,3\nNA,2,,4\n".encode(), CSV),
        (parquet(), PARQUET),
    ],
    ids=["records", "split", "inputs", "csv", "parquet"],
)
def test_no_mutated_body_is_an_error_of_the_server(service: Service, body: bytes, kind: str) -> None:
    random_state = random.Random(17)
    refused = 0
    for _ in range(100):
        sent = _mutated(random_state, body)
        status, answer = _answer(service, sent, kind)
        assert status in (200, 400, 413), (sent, answer)
        assert status == 200 or _MARK not in answer, (sent, answer)
        refused += status != 200
    assert refused > 10
