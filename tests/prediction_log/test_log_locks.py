"""One compaction at a time, and readers who need no right to write."""

from pathlib import Path

import pytest
from logged_rows import ids_in, log_in

from metamodel import compact_log
from metamodel.exceptions import InputError
from metamodel.prediction_log import log_locks
from metamodel.prediction_log.log_locks import reading, removing, the_only_writer


def test_of_two_compactions_one_is_refused(tmp_path: Path):
    log_in(tmp_path)
    with the_only_writer(tmp_path), pytest.raises(InputError, match="is being compacted by another process"):
        compact_log(tmp_path)
    assert compact_log(tmp_path).rows == 60


def test_a_log_that_nobody_may_write_is_read(tmp_path: Path):
    log_in(tmp_path)
    with reading(tmp_path):
        assert ids_in(tmp_path) == list(range(60))


def test_a_reader_that_came_before_the_first_compaction_keeps_files_where_they_are(tmp_path: Path):
    log_in(tmp_path)
    with reading(tmp_path), removing(tmp_path, wait=False) as nobody_reads:
        assert not nobody_reads
    with removing(tmp_path, wait=False) as nobody_reads:
        assert nobody_reads


def test_a_lock_that_somebody_holds_for_ever_ends_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_locks, "_LONGEST_WAIT", 0.1)
    log_in(tmp_path)
    match = r"^'[^\n]*' has been {} by another process for 0\.1 s\. Let it end, or end it\.$"
    with reading(tmp_path), pytest.raises(InputError, match=match.format("read")), removing(tmp_path):
        raise AssertionError("files are taken away from a reader")
    with removing(tmp_path), pytest.raises(InputError, match=match.format("compacted")):
        ids_in(tmp_path)
