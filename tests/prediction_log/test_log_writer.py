"""The queue and its thread: rows arrive in whole files, or are counted as dropped; nobody waits, and nothing raises."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from full_disks import no_file_beyond
from logged_rows import answered, frame_of, rows_in, settings_in

from metamodel.prediction.answers import ShadowAnswer
from metamodel.prediction_log import log_writer
from metamodel.prediction_log.log_writer import LogCounts, PredictionLog


def test_rows_of_many_threads_are_all_written_once(tmp_path: Path):
    log = PredictionLog(settings_in(tmp_path), seconds=0.05)
    calls = [answered(frame_of(3, start)) for start in range(0, 600, 3)]
    threads = [threading.Thread(target=lambda part: [log.put(c) for c in part], args=(calls[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close(100)
    assert log.counts == LogCounts(600, 0)
    assert sorted(map(int, rows_in(tmp_path)["row_id"])) == list(range(600))
    assert not list(tmp_path.glob("new/.*"))


def test_a_file_is_written_as_soon_as_it_has_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_writer, "FILE_ROWS", 50)
    written = threading.Event()
    write = log_writer.write_new_file

    def noted(*arguments):
        write(*arguments)
        written.set()

    monkeypatch.setattr(log_writer, "write_new_file", noted)
    log = PredictionLog(settings_in(tmp_path), seconds=3600)
    log.put(answered(frame_of(49)))
    assert not rows_in(tmp_path).size
    log.put(answered(frame_of(1, 49)))
    assert written.wait(100)
    assert len(rows_in(tmp_path)) == 50


def test_while_the_disk_hangs_the_queue_is_full_and_rows_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hangs, goes_on = threading.Event(), threading.Event()
    write = log_writer.write_new_file

    def hanging(*arguments):
        hangs.set()
        assert goes_on.wait(200)
        return write(*arguments)

    monkeypatch.setattr(log_writer, "write_new_file", hanging)
    monkeypatch.setattr(log_writer, "_QUEUE_BYTES", 100_000)
    log = PredictionLog(settings_in(tmp_path), seconds=0.01)
    log.put(answered(frame_of(1)))
    assert hangs.wait(100)
    started = time.perf_counter()
    for start in range(1, 200):
        log.put(answered(frame_of(1, start)))
    log.put(answered(frame_of(2000, 200)))
    assert time.perf_counter() - started < 100  # and not the minutes for which the disk hangs
    assert log._bytes <= 100_000
    dropped = log.counts.dropped
    assert dropped > 1000
    goes_on.set()
    log.close(100)
    assert log.counts == LogCounts(2200 - dropped, dropped)
    assert len(rows_in(tmp_path)) == 2200 - dropped


class Ends:
    """A log whose rows are written when a test says so, by the log's own thread; a call waits until they are."""

    def __init__(self, log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = log
        self._due, self._written = threading.Event(), threading.Event()
        write = log._write

        def noted() -> None:
            self._due.clear()
            write()
            self._written.set()

        monkeypatch.setattr(log, "_is_due", self._due.is_set)
        monkeypatch.setattr(log, "_write", noted)

    def __call__(self) -> None:
        self._written.clear()
        self._due.set()
        self._log._wake.set()
        assert self._written.wait(100)


def test_a_disk_that_is_full_or_gone_costs_rows_and_leaves_no_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    log = PredictionLog(settings_in(tmp_path / "log"), seconds=3600)
    write = Ends(log, monkeypatch)
    for _ in range(3):
        log.put(answered(frame_of(100)))
        with no_file_beyond(100):
            write()
    assert log.counts == LogCounts(0, 300)
    assert list((tmp_path / "log" / "new").iterdir()) == []
    assert [record.message.count("not logged") for record in caplog.records] == [1]
    (tmp_path / "log" / "new").rmdir()
    (tmp_path / "log").rmdir()
    log.put(answered(frame_of(7)))
    write()
    assert log.counts == LogCounts(0, 307)
    assert not (tmp_path / "log").exists()
    (tmp_path / "log").mkdir()
    log.put(answered(frame_of(7)))
    write()
    assert log.counts == LogCounts(7, 307)
    log.close(100)


def test_an_error_in_the_reading_of_a_call_is_no_error_of_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = PredictionLog(settings_in(tmp_path), seconds=3600)
    write = Ends(log, monkeypatch)
    log.put(answered(frame_of(300), sent={"row_id": 7}))
    log.put(answered(frame_of(3), sent={"row_id": 7}))
    write()
    assert log.counts == LogCounts(0, 303)
    log.put(answered(frame_of(2)))
    log.put(answered(frame_of(3), sent={"row_id": 7}))
    log.close(100)
    assert log.counts == LogCounts(2, 306)
    assert log._bytes == 0


def test_a_call_that_fits_into_no_table_keeps_no_other_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    log = PredictionLog(settings_in(tmp_path), seconds=3600)
    for start in range(0, 40, 2):
        call = answered(frame_of(2, start))
        if start == 14:
            monkeypatch.setattr(call.answers, "plain", lambda _: ["no number", 0.5])
        log.put(call)
    log.close(100)
    assert log.counts == LogCounts(38, 2)
    assert sorted(map(int, rows_in(tmp_path)["row_id"])) == [i for i in range(40) if i not in (14, 15)]
    assert log._bytes == 0
    assert len(caplog.records) == 1


def test_rows_that_a_challenger_is_to_answer_wait_for_it_and_no_longer_than_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = PredictionLog(settings_in(tmp_path), seconds=3600)
    write = Ends(log, monkeypatch)
    shadows = [ShadowAnswer(), ShadowAnswer(), ShadowAnswer()]
    for start, rows, shadow in zip((0, 10, 1000), (3, 300, 2), shadows, strict=True):  # a large call among small ones
        call = answered(frame_of(rows, start))
        call.answers.shadow = shadow
        log.put(call)
    shadows[0].fill(np.arange(3.0), ["child"] * 3)
    write()
    assert rows_in(tmp_path)["shadow_prediction"].tolist() == [0.0, 1.0, 2.0]
    shadows[1].fill(np.arange(300.0), ["child"] * 300)
    write()
    assert rows_in(tmp_path)["shadow_prediction"].notna().sum() == 303
    monkeypatch.setattr(log, "_seconds", 0)
    write()
    log.close(100)
    assert log.counts == LogCounts(305, 0)
    assert sorted(map(int, rows_in(tmp_path)["row_id"])) == [*range(3), *range(10, 310), 1000, 1001]
    assert rows_in(tmp_path)["shadow_prediction"].isna().sum() == 2
    assert log._bytes == 0


def test_a_forked_process_has_a_queue_of_its_own_and_writes_no_row_of_its_parent(tmp_path: Path):
    log = PredictionLog(settings_in(tmp_path), seconds=3600)
    log.put(answered(frame_of(5)))
    read, write = os.pipe()
    with log._lock:  # as if another thread were putting rows in at the moment of the fork
        log._lock._holder = None
        process = os.fork()
        if process == 0:
            code = 1
            try:
                log.put(answered(frame_of(2, 10)))
                log.close(100)
                code = int(log.counts != LogCounts(2, 0))
            finally:
                os.write(write, b"x")
                os._exit(code)
    assert os.read(read, 1) == b"x"
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    log.close(100)
    assert log.counts == LogCounts(5, 0)
    files = sorted(pq.read_table(path).num_rows for path in tmp_path.glob("new/*"))
    assert files == [2, 5]


def test_after_the_end_nothing_is_taken(tmp_path: Path):
    log = PredictionLog(settings_in(tmp_path))
    log.put(answered(frame_of(1)))
    log.close(100)
    log.put(answered(frame_of(1)))
    assert log.counts == LogCounts(1, 1)
