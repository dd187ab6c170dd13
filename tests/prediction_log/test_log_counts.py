"""Count files of a log add up, by day and version: killed anywhere, nothing is counted twice and nothing lost."""

from pathlib import Path

import numpy as np
import pytest

from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.window_counts import ROWS, TOTALS, WindowCounts
from metamodel.exceptions import InputError
from metamodel.prediction_log import log_counts
from metamodel.prediction_log.compaction import compact_log
from metamodel.prediction_log.log_counts import COUNTS_DIR, add_up, count_files, read_log_counts, write_count_file


def counts_of(rows: int, day: str = "2026-11-23", key: str = '["a"]') -> WindowCounts:
    """Count so many rows of one group, all in the third bin."""
    counts, totals = np.zeros((1, 1, SLOTS), dtype=np.int64), np.zeros((1, len(TOTALS)), dtype=np.int64)
    counts[0, 0, 2] = totals[0, ROWS] = rows
    return WindowCounts((key,), np.array([7], dtype=np.uint64), ("price",), counts, totals, window=day)


def log_of_counts(folder: Path, *numbers: int, day: str = "2026-11-23", version: str = "8") -> Path:
    (folder / "new").mkdir(exist_ok=True, parents=True)
    for number in numbers:
        write_count_file(folder, counts_of(number, day), "sales", version)
    return folder


def sums(folder: Path) -> dict[tuple[str, str], int]:
    return {(file.day, file.version): int(counts.totals[:, ROWS].sum()) for file, counts in read_log_counts(folder)}


def test_files_add_up_to_one_a_day_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_counts, "_ADDED_AT_ONCE", 2)
    log_of_counts(tmp_path, 1, 2, 4, 8, 16)
    log_of_counts(tmp_path, 32, 64, day="2026-11-24")
    log_of_counts(tmp_path, 128, version="9")
    before = sums(tmp_path)
    assert before == {("2026-11-23", "8"): 31, ("2026-11-23", "9"): 128, ("2026-11-24", "8"): 96}
    assert add_up(tmp_path) == 7
    assert sums(tmp_path) == before
    assert len(list((tmp_path / COUNTS_DIR).iterdir())) == 3
    log_of_counts(tmp_path, 256)
    add_up(tmp_path)
    assert sums(tmp_path)["2026-11-23", "8"] == 287


def test_compaction_adds_up_and_deletes_old_days(store: str, tmp_path: Path) -> None:
    log_of_counts(tmp_path, 1, 2, day="2020-01-01")
    log_of_counts(tmp_path, 4, 8, day="2999-01-01")
    compact_log(tmp_path, delete_older="90d")
    assert sums(tmp_path) == {("2999-01-01", "8"): 12}
    assert len(list((tmp_path / COUNTS_DIR).iterdir())) == 1


@pytest.mark.parametrize("kept", range(5))
def test_a_sum_whose_parts_were_not_all_taken_away_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    log_of_counts(tmp_path, 1, 2, 4)
    unlink, calls = Path.unlink, iter(range(100))

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("counts-") and next(calls) >= kept:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    for more in (8, 16):
        try:
            add_up(tmp_path)
        except KeyboardInterrupt:
            calls = iter(range(kept - 1, 100))
        assert sum(sums(tmp_path).values()) in (7, 15)
        log_of_counts(tmp_path, *([more] if more == 8 else []))
    monkeypatch.setattr(Path, "unlink", unlink)
    add_up(tmp_path)
    assert sums(tmp_path) == {("2026-11-23", "8"): 15}
    assert len(count_files(tmp_path)) == len(list((tmp_path / COUNTS_DIR).iterdir())) == 1


def test_a_damaged_file_is_named_and_compaction_sets_it_aside(tmp_path: Path) -> None:
    log_of_counts(tmp_path, 1)
    odd = tmp_path / COUNTS_DIR / "counts-2026-11-23-odd.parquet"
    odd.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"counts-2026-11-23-odd.parquet of the log is damaged"):
        count_files(tmp_path)
    compact_log(tmp_path)
    assert sums(tmp_path) == {("2026-11-23", "8"): 1}
    assert (tmp_path / "damaged" / odd.name).exists()
