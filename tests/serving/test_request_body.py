"""The body of one request: received within the limits, counted until nobody needs it."""

import asyncio
from typing import Any

import pytest

from metamodel.serving.held_bytes import HeldBytes, WorkerBytes
from metamodel.serving.request_body import Disconnected, RequestBody, TooLarge, TooMuchHeld, header

pytestmark = pytest.mark.tableless


@pytest.fixture
def held() -> WorkerBytes:
    return HeldBytes(1, 100, 100).of(0)


def _receive(body: RequestBody, *parts: bytes, limit: int = 80, length: str = "", breaks_off: bool = False) -> None:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"} if breaks_off else {"type": "http.request"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-length", length.encode())] if length else []
    asyncio.run(body.receive({"headers": headers}, receive, limit))


def _free(held: WorkerBytes) -> int:
    """Say how many bytes may be taken."""
    size = next(size for size in range(100, -1, -1) if held.take(size))
    held.give_back(size)
    return size


def test_a_body_is_counted_until_the_last_who_keeps_it_lets_it_go(held: WorkerBytes) -> None:
    body = RequestBody(held, 4)
    _receive(body, b"12345", b"67")
    assert (body.content, body.is_whole, _free(held)) == (b"1234567", True, 93)
    body.keep()
    body.let_go()
    assert _free(held) == 93
    body.let_go()
    assert _free(held) == 100


def test_a_small_body_that_comes_at_once_is_taken_though_all_bytes_are_held(held: WorkerBytes) -> None:
    held.take(100)
    body = RequestBody(held, 4)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"1234"}

    asyncio.run(body.receive({"headers": []}, receive, 80))
    assert body.content == b"1234"


def test_what_is_too_much_is_refused_as_soon_as_it_is_and_counted_no_more(held: WorkerBytes) -> None:
    held.take(50)
    body = RequestBody(held, 4)
    with pytest.raises(TooMuchHeld):
        _receive(body, b"x" * 40, b"x" * 20, b"never received")
    assert (body.is_whole, _free(held)) == (False, 10)
    body.let_go()
    assert _free(held) == 50


@pytest.mark.parametrize("length", ["", "81"])
def test_a_body_over_its_limit_is_refused(held: WorkerBytes, length: str) -> None:
    body = RequestBody(held, 4)
    with pytest.raises(TooLarge):
        _receive(body, b"x" * 81, length=length)
    body.let_go()
    assert _free(held) == 100


def test_a_body_that_breaks_off_is_none(held: WorkerBytes) -> None:
    with pytest.raises(Disconnected):
        _receive(RequestBody(held, 4), b"x" * 10, breaks_off=True)


def test_a_header_is_read_by_its_name() -> None:
    scope = {"headers": [(b"a", b"1"), (b"b", b"\xe4")]}
    assert [header(scope, name) for name in (b"a", b"b", b"c")] == ["1", "ä", None]
