"""Reading a log: parts of bounded size, spans of time, and each row once while files come and go."""

import datetime as dt
import threading
from pathlib import Path

import pandas as pd
import pytest
from logged_rows import NOW, ids_in, log_in

from metamodel import compact_log, read_log
from metamodel.exceptions import InputError
from metamodel.prediction_log.delta_store import DeltaStore
from metamodel.prediction_log.hive_store import HiveStore
from metamodel.prediction_log.log_files import new_files
from metamodel.prediction_log.log_reader import logged_columns


def test_a_span_of_time_and_some_columns_are_read_alone(store: str, tmp_path: Path):
    log_in(tmp_path)
    compact_log(tmp_path)
    log_in(tmp_path, 1, start=60)
    now = pd.Timestamp(NOW, unit="us", tz="UTC")
    assert ids_in(tmp_path, now - dt.timedelta(days=2)) == list(range(20, 80))
    assert ids_in(tmp_path, None, now - dt.timedelta(days=2)) == list(range(20))
    assert ids_in(tmp_path, now) == []
    parts = list(read_log(tmp_path, columns=["key", "no_such"], batch_rows=7))
    assert {tuple(part.columns) for part in parts} == {("key", "no_such")}
    assert sum(map(len, parts)) == 80
    with pytest.raises(InputError, match="since='soon' is no point of time"):
        next(read_log(tmp_path, "soon"))
    with pytest.raises(InputError, match="holds no prediction log"):
        next(read_log(tmp_path / "elsewhere"))


def test_the_columns_of_a_log_are_those_of_all_its_files(store: str, tmp_path: Path):
    log_in(tmp_path)
    compact_log(tmp_path)
    log_in(tmp_path, 1, start=60)
    assert set(logged_columns(str(tmp_path))) == {name for part in read_log(tmp_path) for name in part}


def test_while_somebody_reads_no_file_goes_and_the_reader_sees_each_row_once(store: str, tmp_path: Path):
    log_in(tmp_path, 4)
    parts = read_log(tmp_path, batch_rows=20)
    seen = [next(parts)]
    appended = threading.Event()
    opened = HiveStore if store == "hive" else DeltaStore
    append = opened.append

    def noted(self, *arguments):
        append(self, *arguments)
        appended.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "append", noted)
        thread = threading.Thread(target=compact_log, args=(tmp_path,))
        thread.start()
        try:
            assert appended.wait(300)
            assert ids_in(tmp_path) == list(range(80))  # another one, between the change and the end of the old files
        finally:
            seen += parts  # also where something failed: the compaction waits for whoever reads
            thread.join()
    assert sorted(int(name) for part in seen for name in part["row_id"]) == list(range(80))
    assert new_files(tmp_path) == []
