"""The rows of a table as those of a model: by its group columns, features, target and time."""

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.evaluation.drift.window_rows import RowSchema, WindowRows

__all__ = ["model_rows"]


def model_rows(model: MetaModel, frame: pd.DataFrame, answers: pd.DataFrame, labels: pd.Series | None) -> WindowRows:
    """Read rows of a table; see `WindowRows.of`."""
    manifest = model.manifest
    time_column = manifest.options.get("time_column")
    schema = RowSchema(manifest.keys, manifest.features.features, manifest.target.task, time_column)
    return WindowRows.of(schema, frame, answers, labels)
