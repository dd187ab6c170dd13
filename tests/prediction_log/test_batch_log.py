"""A batch's log is there as a whole when the batch is, once however often it is tried, or not at all."""

from pathlib import Path

import pytest
from counted_log import COUNTED, assert_same, expected
from full_disks import no_file_beyond
from logged_rows import answered, frame_of, ids_in, settings_in

from metamodel.prediction_log.batch_log import BatchLog
from metamodel.prediction_log.log_counts import read_log_counts
from metamodel.prediction_log.log_files import new_files, new_name
from metamodel.prediction_log.log_writer import LogCounts


def test_all_parts_of_a_batch_are_in_one_file_that_appears_at_its_end(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, features="counts")
    frame = frame_of(900)
    with BatchLog(settings, new_name()) as log:
        for start in range(0, 900, 300):
            log.put(answered(frame.iloc[start : start + 300].reset_index(drop=True), model=COUNTED))
        assert new_files(tmp_path) == []
    assert log.counts == LogCounts(900, 0)
    assert len(new_files(tmp_path)) == 1
    assert ids_in(tmp_path) == list(range(900))
    ((file, counts),) = read_log_counts(tmp_path)
    assert (file.model, file.version) == ("sales", "8")
    assert_same(counts, expected(frame))


def test_a_second_try_replaces_the_first(tmp_path: Path) -> None:
    settings, name = settings_in(tmp_path, features="counts"), new_name()
    for rows in (50, 80):
        with BatchLog(settings, name) as log:
            log.put(answered(frame_of(rows), model=COUNTED))
    assert ids_in(tmp_path) == list(range(80))
    assert [int(counts.totals[:, 0].sum()) for _, counts in read_log_counts(tmp_path)] == [80]


def test_a_batch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    log = BatchLog(settings_in(tmp_path, features="counts"), new_name())

    def fail() -> None:
        with log:
            log.put(answered(frame_of(5), model=COUNTED))
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        fail()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_disk_that_is_full_costs_the_log_alone_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with no_file_beyond(100), BatchLog(settings_in(tmp_path), new_name()) as log:
        log.put(answered(frame_of(30_000)))
        log.put(answered(frame_of(7)))
    assert log.counts == LogCounts(0, 30_007)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "30,007 rows not logged" in caplog.text


def test_a_folder_that_cannot_be_made_costs_the_log_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "log")
    (tmp_path / "log").rmdir()
    (tmp_path / "log").write_text("")
    with BatchLog(settings, new_name()) as log:
        log.put(answered(frame_of(3)))
    assert log.counts == LogCounts(0, 3)


def test_a_batch_without_rows_writes_nothing(tmp_path: Path) -> None:
    with BatchLog(settings_in(tmp_path), new_name()):
        pass
    assert not list(tmp_path.iterdir())
