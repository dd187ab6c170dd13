"""A small model whose answers are logged, and what came into the log."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from routes import FEATURES, KEYS, Line, Store

from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.routing import Route
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.log_files import write_new_file
from metamodel.prediction_log.log_reader import read_log
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_tables import log_table

ROUTE = Route(KEYS, FEATURES, "regression", None, (), ())
DAY = 86_400_000_000
NOW = int(dt.datetime.now(dt.UTC).timestamp() * 1e6)

MODEL = LoggedModel("sales", "8", "regression", None, tuple(FEATURES.features))


def frame_of(n_rows: int, start: int = 0) -> pd.DataFrame:
    numbers = np.arange(start, start + n_rows)
    return pd.DataFrame({"country": "FR", "store": numbers % 2, "x": numbers / 8, "z": 1.0, "row_id": numbers})


def answered(frame: pd.DataFrame, microseconds: int = 0, **changes: Any) -> AnsweredRows:
    """Answer a table by the children of two stores, whose slope is the store's number."""
    read = ROUTE.read(frame)
    store = Store({("FR", i): Line(float(i)) for i in (0, 1)})
    answers = ROUTE.answer(read, store, PredictOptions())
    sent = {name: frame[name].tolist() for name in frame.columns}
    return AnsweredRows(**{"model": MODEL, "seconds": 0.25, "sent": sent, **changes}, grouping=read[0],
                        columns=read[1], answers=answers, microseconds=microseconds)  # fmt: skip


def settings_in(folder: Path, **changes: Any) -> LogSettings:
    folder.mkdir(parents=True, exist_ok=True)
    return LogSettings(folder, **{"features": "all", **changes})


def rows_in(folder: Path) -> pd.DataFrame:
    """Read every complete file, as any reader of a Parquet folder would."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("new/*.parquet"))]
    return pa.concat_tables(tables).to_pandas() if tables else pd.DataFrame()


def log_in(folder: Path, files: int = 3, rows: int = 20, start: int = 0, **changes: object) -> Path:
    """Write files, each a day older than the one after it; the customer of a row is its number modulo 5."""
    settings = settings_in(folder, entity=("customer",), secret="hush", **changes)
    for i in range(files):
        frame = frame_of(rows, start + i * rows)
        call = answered(frame.assign(customer=frame["row_id"] % 5), NOW - (files - i) * DAY)
        write_new_file(folder, log_table([call], settings))
    return folder


def age_that_keeps(days: int) -> str:
    """Say how old rows may be so that those from so many days before `NOW` stay, and the day before goes.

    A compaction deletes whole days, by a clock that may have passed midnight since; its hour is noon, half a day away.
    """
    noon = (NOW // DAY - days) * DAY + DAY // 2
    return f"{int((time.time() * 1e6 - noon) // 3_600_000_000)}h"


def ids_in(folder: Path, *between: object) -> list[int]:
    return sorted(int(name) for part in read_log(folder, *between) for name in part["row_id"])
