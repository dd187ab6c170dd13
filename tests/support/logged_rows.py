"""A small model whose answers are logged, and what came into the log."""

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
from metamodel.prediction_log.log_settings import LogSettings

ROUTE = Route(KEYS, FEATURES, "regression", None, (), ())
MODEL = LoggedModel("sales", "8", "regression", None, tuple(FEATURES.features))


def frame_of(n_rows: int, start: int = 0) -> pd.DataFrame:
    numbers = np.arange(start, start + n_rows)
    return pd.DataFrame({"country": "FR", "store": numbers % 2, "x": numbers / 8, "z": 1.0, "row_id": numbers})


def answered(frame: pd.DataFrame, microseconds: int = 0, **changes: Any) -> AnsweredRows:
    """Answer a table by the children of two stores, whose slope is the store's number."""
    read = ROUTE.read(frame)
    store = Store({("FR", i): Line(float(i)) for i in (0, 1)})
    answers = ROUTE.answer(read, store, PredictOptions(detail=True))
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
