"""Score tables on Spark: rows are brought together by group, so that each child is read once a job.

The caller's columns stay as they are; `prediction` and `status` come behind them with types that follow from the model
alone, and what nobody answered is an SQL null. Only the DataFrame API is used, so that Spark Connect works too.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import mlflow
import pandas as pd
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows
from pyspark.sql import types as T  # noqa: N812

from metamodel import exceptions
from metamodel.bundle.model import MetaModel
from metamodel.common.messages import listing
from metamodel.exceptions import ChildFailed, InputError
from metamodel.flavor.load import load_model
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.routing import Route, output_columns
from metamodel.scoring.spark_worker import ModelPlace, PartitionScorer
from metamodel.tables.grouping import check_columns
from metamodel.tables.spark import column, read_spark, reason, sample_frame, write_spark

__all__ = ["score_on_spark", "score_to_table"]

_ARROW_TYPES = {"status": pa.string(), "key": pa.string(), "level": pa.int64()}

_ARROW_TYPES |= {"child_version": pa.string(), "error": pa.string()}

_LABEL_TYPES = {"string": pa.string(), "integer": pa.int64(), "boolean": pa.bool_(), "number": pa.float64()}

_SPARK_TYPES: dict[pa.DataType, T.DataType] = {
    pa.string(): T.StringType(),
    pa.int64(): T.LongType(),
    pa.bool_(): T.BooleanType(),
    pa.float64(): T.DoubleType(),
}


def score_on_spark(data: Any, model: Any, params: Mapping[str, Any] | None) -> DataFrame:
    """Score a table; see `metamodel.scoring.score`. Nothing runs before the result is used."""
    return _scored(data, _opened(model), model, params)


def _opened(model: Any) -> MetaModel:
    return model if isinstance(model, MetaModel) else load_model(model)


def _scored(data: Any, opened: MetaModel, model: Any, params: Mapping[str, Any] | None) -> DataFrame:
    keys, features = opened.manifest.keys, opened.manifest.features
    texts = [column.name for column in keys.columns if column.kind == "string"]
    texts += [feature.name for feature in features.features if feature.kind in ("string", "category")]
    frame = read_spark(data, keys.names, texts).frame
    options = opened.options(params)
    added = _added(opened.route, options)
    _check(frame, opened, list(added))
    needed = tuple(dict.fromkeys([*keys.names, *features.names]))
    scorer = PartitionScorer(_place(opened, model, _tasks(frame)), needed, added, asdict(options))
    together = [column(name) for name in keys.names]
    fields = [T.StructField(name, _SPARK_TYPES[kind]) for name, kind in added.items()]
    schema = T.StructType([*frame.schema.fields, *fields])
    return frame.repartition(*together).sortWithinPartitions(*together).mapInArrow(scorer.score, schema)


def score_to_table(data: Any, model: Any, output: str, params: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Score a table into another one.

    Parameters
    ----------
    data, model, params
        As for `metamodel.scoring.score`.
    output
        Where to write; see `metamodel.tables.spark.write_spark`.

    Returns
    -------
    dict
        Rows by status.
    """
    opened = _opened(model)
    levels = [f"parent:{level}" if level else "global" for level in opened.manifest.levels]
    statuses = ["child", *levels, "unknown_group", "invalid_key", "failed"]
    scored = _scored(data, opened, model, params)  # starts the session, without which there are no columns
    seen = Observation()
    counts = [F.count(F.when(F.col("status") == status, 1)).alias(f"s{i}") for i, status in enumerate(statuses)]
    answers = scored.observe(seen, *counts)
    try:
        write_spark(answers, output)
    except PySparkException as error:
        raise _own_error(error) from error
    return {status: seen.get[f"s{i}"] for i, status in enumerate(statuses) if seen.get[f"s{i}"]}


def _added(route: Route, options: PredictOptions) -> dict[str, pa.DataType]:
    route.check(options)
    label = _LABEL_TYPES[route.label_kind or "number"]
    types = {"prediction": label, **_ARROW_TYPES}
    return {name: types.get(name, pa.float64()) for name in output_columns(route, options)}


def _check(frame: DataFrame, model: MetaModel, added: list[str]) -> None:
    names = pd.DataFrame(columns=frame.columns)
    check_columns(names, model.manifest.keys.names, "group column")
    check_columns(names, model.manifest.features.names, "feature column")
    model.manifest.features.check_kinds(sample_frame(frame.select(*map(column, model.manifest.features.names))))
    if clash := [name for name in added if name in frame.columns]:
        raise InputError(
            f"The table already has the column {listing(map(repr, clash))}, which scoring adds. Rename it first."
        )


def _place(opened: MetaModel, model: Any, tasks: int) -> ModelPlace:
    uri = None if isinstance(model, MetaModel) else str(model)
    path = str(opened.bundle.path.absolute())
    fetches = uri or opened.manifest.references is not None
    return ModelPlace(path, opened.bundle.digest, uri, mlflow.get_tracking_uri() if fetches else None, tasks)


def _tasks(frame: DataFrame) -> int:
    """Tasks that run at the same moment, at most; a client of Spark Connect knows the number of partitions alone."""
    session = frame.sparkSession
    try:
        return int(session.sparkContext.defaultParallelism)
    except PySparkException:
        return int(session.conf.get("spark.sql.shuffle.partitions") or 1)


def _own_error(error: PySparkException) -> Exception:
    """Find the error that a worker raised on purpose inside what Spark made of it."""
    found = re.findall(r"metamodel\.exceptions\.(\w+): (.+)", str(error))
    kind = getattr(exceptions, found[-1][0], None) if found else None
    if kind is not None:
        return kind(found[-1][1])
    return ChildFailed(f"Spark could not score the table: {reason(error)}")
