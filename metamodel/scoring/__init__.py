"""Batch scoring: a table in, the same table with predictions out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from metamodel.spec import one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["score"]


def score(
    data: "pd.DataFrame | str | Path",
    model: Any,
    *,
    engine: str = "local",
    params: "Mapping[str, Any] | None" = None,
) -> "pd.DataFrame":
    """Score a table.

    Parameters
    ----------
    data
        A DataFrame, the path of a CSV file, a Parquet file or a folder of Parquet files, or the name of a built-in
        sample.
    model
        A `MetaModel`, an MLflow URI, or a path.
    engine
        "local".
    params
        As for `MetaModel.predict`.

    Returns
    -------
    DataFrame
        The caller's columns, followed by `prediction`, `status` and what the params ask for; same rows, order and
        index.

    Raises
    ------
    InputError
        A column is missing, is of the wrong kind as a whole, or has the name of an output column.
    """
    one_of("engine", engine, ("local",))
    from metamodel.scoring import local

    return local.score(data, model, params)
