"""Bodies that are read in another process: the same as here, within limits, and nobody left when the worker ends."""

import json
import multiprocessing
import os
import resource
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers import children_of
from serving import COLUMNS, CSV, JSON, PARQUET, ROW, parquet, records

import metamodel
from metamodel.serving import reader_pool
from metamodel.serving.body_reader import BodyReader, Reading
from metamodel.serving.reader_pool import ReaderPool
from metamodel.serving.scorer import Scorer

pytestmark = pytest.mark.tableless


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> Scorer:
    return Scorer(metamodel.load_model(bundle), max_rows=500)


@pytest.fixture
def pool() -> Iterator[ReaderPool]:
    pool = ReaderPool(2, 60, 2**30)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def reading_pool() -> Iterator[ReaderPool]:
    """One for all who do nothing but read: each that is forked copies what these tests' process holds."""
    pool = ReaderPool(2, 60, 2**30)
    yield pool
    pool.close()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (records({}, {"store": 2}, params={"detail": True}), JSON),
        (records({"store": 1.5}, {"price": None}), JSON),
        (f"{','.join(COLUMNS[:4])}\nFR,1,0.5,3\nNA,x,,4\n", CSV),
        (parquet(), PARQUET),
        ("{", JSON),
        (records({}, params={"detail": 7}), JSON),
        (records(*[{}] * 501), JSON),
        (records({}), None),
        (records({}), "text/plain"),
    ],
    ids=["plain", "odd", "csv", "parquet", "no JSON", "params", "too many rows", "no type", "another type"],
)
def test_what_is_read_elsewhere_is_answered_as_what_is_read_here(
    scorer: Scorer, reading_pool: ReaderPool, body: str | bytes, kind: str | None
) -> None:
    data = body.encode() if isinstance(body, str) else body
    here, elsewhere = scorer.reader.read(data, kind), reading_pool.read(scorer.reader, data, kind)
    assert (here.way, here.request is None) == (elsewhere.way, elsewhere.request is None)
    assert scorer.answer_reading(here) == scorer.answer_reading(elsewhere)


def test_arrays_come_back_whole(scorer: Scorer, reading_pool: ReaderPool) -> None:
    prices = np.random.default_rng(0).normal(size=400)
    body = json.dumps({"dataframe_records": [ROW | {"price": price} for price in prices]}).encode()
    for _ in range(3):  # by the same process, which is idle in between
        request = reading_pool.read(scorer.reader, body, JSON).request
        assert request is not None
        np.testing.assert_array_equal(request.columns.arrays[0], prices)
    assert len(children_of(reading_pool._first)) == 1


def test_a_body_that_takes_too_much_memory_is_refused_and_the_next_is_read(scorer: Scorer) -> None:
    pool = ReaderPool(1, 60, 2**25)
    body = ('{"dataframe_records": [' + "[]," * 10_000_000 + "[]]}").encode()  # far more than a process has spare
    refused = pool.read(scorer.reader, body, JSON).refusal
    assert refused is not None
    assert (refused.status, b"within the limits of this server (33,554,432 bytes" in refused.body) == (413, True)
    assert pool.read(scorer.reader, records({}).encode(), JSON).request is not None
    pool.close()


def test_a_body_that_takes_too_much_is_refused_also_where_the_system_does_not_count(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reader_pool, "_STATUS", str(tmp_path / "no such file"))
    body = ('{"dataframe_records": [' + "[]," * 10_000_000 + "[]]}").encode()
    pool = ReaderPool(1, 60, 2**25)
    refused = pool.read(scorer.reader, body, JSON).refusal
    assert refused is not None
    assert refused.status == 413
    pool.close()
    roomy = ReaderPool(1, 60, 2**30)
    assert roomy.read(scorer.reader, records({}).encode(), JSON).request is not None
    assert len(roomy._idle) == 1
    roomy.close()


def test_a_limit_that_the_process_was_started_with_stays(scorer: Scorer) -> None:
    told, tell = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (2**41, 2**42))
        pool = ReaderPool(1, 60, 2**30)
        pool.read(scorer.reader, records({}).encode(), JSON)
        (reader,) = children_of(pool._first)
        tell.send(resource.prlimit(reader, resource.RLIMIT_DATA))
        pool.close()

    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    soft, hard = told.recv()
    worker.join()
    assert (soft < 2**41, hard) == (True, 2**42)


class _Endless(BodyReader):
    """Stands in for a parser that never ends."""

    def __init__(self) -> None:
        """Need nothing."""

    def __reduce__(self) -> tuple[type["_Endless"], tuple[()]]:
        return _Endless, ()

    def read(self, body: bytes, content_type: str | None) -> Reading:
        """Wait for a signal, of which only the system sends one."""
        while True:
            signal.pause()


def test_a_parser_that_never_ends_is_ended(scorer: Scorer) -> None:
    pool = ReaderPool(1, 0.2, 2**30)
    refused = pool.read(_Endless(), b"{}", JSON).refusal
    assert refused is not None
    assert refused.status == 413
    assert pool.read(scorer.reader, records({}).encode(), JSON).request is not None
    pool.close()


def test_a_process_that_has_taken_much_is_not_kept(
    scorer: Scorer, pool: ReaderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = records(*[{"more": "x" * 1000}] * 400).encode()
    assert pool.read(scorer.reader, body, JSON).request is not None
    assert len(pool._idle) == 1
    monkeypatch.setattr(reader_pool, "_KEPT_BYTES", -1)
    frugal = ReaderPool(1, 60, 2**30)
    assert frugal.read(scorer.reader, body, JSON).request is not None
    assert frugal._idle == []
    frugal.close()


def test_without_processes_bodies_are_read_here(
    scorer: Scorer, pool: ReaderPool, caplog: pytest.LogCaptureFixture
) -> None:
    os.kill(pool._first, signal.SIGKILL)
    os.waitpid(pool._first, 0)
    assert pool.read(scorer.reader, records({}).encode(), JSON).request is not None
    assert "No process reads large bodies any more" in caplog.text


def test_the_processes_keep_no_strangers_socket_and_end_with_their_worker(scorer: Scorer) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    told, tell = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        pool = ReaderPool(1, 60, 2**30, [listening])
        pool.read(scorer.reader, records({}).encode(), JSON)
        tell.send([pool._first, *children_of(pool._first)])
        signal.pause()

    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    readers = [os.pidfd_open(process) for process in told.recv()]
    address = listening.getsockname()
    listening.close()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    # A descriptor of a process can be read once that has ended.
    for reader in readers:
        _wait_for_end(reader)
    socket.create_server(address).close()


def _wait_for_end(descriptor: int) -> None:
    waiting = select.poll()  # `select.select` takes no descriptor from 1,024 on
    waiting.register(descriptor, select.POLLIN)
    ended = waiting.poll(120_000)
    os.close(descriptor)
    assert ended


def test_a_signal_to_the_group_does_not_end_what_reads(scorer: Scorer, pool: ReaderPool) -> None:
    assert pool.read(scorer.reader, records({}).encode(), JSON).request is not None
    processes = [pool._first, *children_of(pool._first)]
    for process in processes:
        os.kill(process, signal.SIGTERM)
    assert pool.read(scorer.reader, records({}).encode(), JSON).request is not None
    assert [pool._first, *children_of(pool._first)] == processes


def test_this_process_has_no_limit(reading_pool: ReaderPool) -> None:
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
