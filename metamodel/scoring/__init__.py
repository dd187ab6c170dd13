"""Batch scoring: a table in, the same table with predictions out, on one machine or on Spark.

It knows nothing of training, tracking or HTTP.
"""

from typing import TYPE_CHECKING, Any

from metamodel.common.extras import require_extra
from metamodel.common.validation import one_of
from metamodel.exceptions import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from metamodel.prediction_log.log_settings import LogSettings
    from metamodel.scoring.summary import ScoreSummary

__all__ = ["score", "score_file"]


def score(
    data: Any,
    model: Any,
    *,
    engine: str = "local",
    params: "Mapping[str, Any] | None" = None,
    prefix: str = "",
    explore: float | None = None,
    explore_entity: "Sequence[str] | str" = (),
    log: "LogSettings | str | Path | None" = None,
) -> Any:
    """Score a table.

    Parameters
    ----------
    data
        A DataFrame (of pandas, polars, Arrow ...), the path of a CSV file, a Parquet file or a folder of Parquet files,
        ``delta:PATH``, or the name of a built-in sample. With engine="spark" also a Spark DataFrame, or a table's name.
    model
        A `MetaModel`, an MLflow URI, or a path.
    engine
        "local", or "spark" (docs/spark.md).
    params
        As for `MetaModel.predict`.
    prefix
        Put before the name of every column that is added, for tables that have a `status` or a `prediction` already.
    explore, explore_entity
        Share of the entities that parents answer, as a control group, and the columns that name an entity; by default
        what the training recorded, 0 for none (docs/monitoring.md).
    log
        Folder of a prediction log that the answers are written to, too (docs/prediction_log.md), or all of its
        settings; with engine="spark" one that the workers share. By default there is none.

    Returns
    -------
    DataFrame
        The caller's columns, followed by `prediction`, `status` and what the params ask for; same rows, order and
        index. Of a table of another library one of that library, with nulls where nobody answered; with
        engine="spark" a Spark DataFrame, whose rows have no order.

    Raises
    ------
    InputError
        A column is missing, is of the wrong kind as a whole, or has the name of an output column.
    """
    one_of("engine", engine, ("local", "spark"))
    if engine == "spark":
        require_extra("spark", "engine='spark'", "pyspark")
        from metamodel.scoring.spark import score_on_spark

        return score_on_spark(data, model, params, prefix, (explore, explore_entity), log)
    if type(data).__module__.startswith("pyspark."):
        raise InputError('data is a Spark DataFrame, which only Spark can read. Score with engine="spark".')
    from metamodel.scoring.local import score_frame

    return score_frame(data, model, params, prefix, (explore, explore_entity), log)


def score_file(  # noqa: PLR0913 - each says one thing of the batch
    data: "str | Path",
    model: Any,
    output: str,
    *,
    engine: str = "local",
    params: "Mapping[str, Any] | None" = None,
    prefix: str = "",
    explore: float | None = None,
    explore_entity: "Sequence[str] | str" = (),
    log: "LogSettings | str | Path | None" = None,
) -> "ScoreSummary":
    """Score a file or table into another one.

    Parameters
    ----------
    data, model, engine, params, prefix, explore, explore_entity, log
        As for `score`.
    output
        A file to write, ending in .parquet or .csv, or ``delta:PATH``. With engine="spark" a folder of such files, a
        Delta table, or a table's name. Never the table that is read.

    Returns
    -------
    ScoreSummary
        What became of the rows, and metrics where the table has the target.
    """
    one_of("engine", engine, ("local", "spark"))
    if engine == "spark":
        require_extra("spark", "engine='spark'", "pyspark")
        from metamodel.scoring.spark import score_to_table

        return score_to_table(data, model, output, params, prefix, (explore, explore_entity), log)
    from metamodel.scoring.local import score_to_file

    return score_to_file(data, model, output, params, prefix, (explore, explore_entity), log)
