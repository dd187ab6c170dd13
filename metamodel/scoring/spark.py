"""Score tables on Spark: rows are brought together by group, so that each child is read once a job.

The caller's columns stay as they are; `prediction` and `status` come behind them with types that follow from the model
alone, and what nobody answered is an SQL null. Only the DataFrame API is used, so that Spark Connect works too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import mlflow
import pandas as pd
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F  # noqa: N812 - the name that everybody knows
from pyspark.sql import types as T  # noqa: N812

from metamodel import exceptions
from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.exploring_model import ExploringModel
from metamodel.exceptions import ChildFailed
from metamodel.flavor.model_identity import model_identity
from metamodel.prediction.answer_form import DETAIL_COLUMNS, OTHER, VARIANT, PredictOptions
from metamodel.prediction.routing import Route, output_columns
from metamodel.prediction_log.log_files import new_name
from metamodel.scoring.batch_answers import Explore, Log, log_settings, opened_model
from metamodel.scoring.spark_worker import JobLog, ModelPlace, PartitionScorer
from metamodel.scoring.summary import UNANSWERED, Errors, ScoreSummary, check_free
from metamodel.tables.grouping import check_columns
from metamodel.tables.spark import column, read_spark, reason, sample_frame, with_plain_names, write_spark

__all__ = ["score_on_spark", "score_to_table"]

_ARROW_TYPES = {"status": pa.string(), "key": pa.string(), "level": pa.int64()}

_ARROW_TYPES |= {"child_version": pa.string(), "error": pa.string(), VARIANT: pa.string()}

_LABEL_TYPES = {"string": pa.string(), "integer": pa.int64(), "boolean": pa.bool_(), "number": pa.float64()}

_SPARK_TYPES: dict[pa.DataType, T.DataType] = {
    pa.string(): T.StringType(),
    pa.int64(): T.LongType(),
    pa.bool_(): T.BooleanType(),
    pa.float64(): T.DoubleType(),
}


def score_on_spark(
    data: Any,
    model: Any,
    params: Mapping[str, Any] | None,
    prefix: str = "",
    explore: Explore = (None, ()),
    log: Log = None,
) -> DataFrame:
    """Score a table; see `metamodel.scoring.score`. Nothing runs before the result is used."""
    opened = opened_model(model, explore)
    return _scored(data, opened, _place(opened, model), opened.options(params), prefix, log)


def _scored(
    data: Any, opened: MetaModel, place: ModelPlace, options: PredictOptions, prefix: str, log: Log
) -> DataFrame:
    keys, features = opened.manifest.keys, opened.manifest.features
    texts = [column.name for column in keys.columns if column.kind == "string"]
    texts += features.texts
    settings = log_settings(log, features.names)
    of_log = settings.columns if settings is not None else ()
    texts += of_log  # as they are in the file, so that labels fit them
    frame = read_spark(data, keys.names, texts).frame
    added = _added(opened.route, options)
    _check(frame, opened, [f"{prefix}{name}" for name in added])
    entities = [name for name in (*opened.entity_names, *of_log) if name in frame.columns]
    needed = tuple(dict.fromkeys([*keys.names, *features.names, *entities]))
    place = replace(place, workers=_tasks(frame))
    job = None if settings is None else JobLog(settings, model_identity(opened), new_name())
    control = opened.exploration if isinstance(opened, ExploringModel) else None
    scorer = PartitionScorer(place, tuple(frame.columns), needed, added, asdict(options), prefix, control, job)
    together = [column(name) for name in keys.names]
    fields = [T.StructField(f"{prefix}{name}", _SPARK_TYPES[kind]) for name, kind in added.items()]
    schema = T.StructType([*frame.schema.fields, *fields])
    grouped = frame.repartition(*together).sortWithinPartitions(*together)
    return with_plain_names(grouped).mapInArrow(scorer.score, schema)


def score_to_table(
    data: Any,
    model: Any,
    output: str,
    params: Mapping[str, Any] | None = None,
    prefix: str = "",
    explore: Explore = (None, ()),
    log: Log = None,
) -> ScoreSummary:
    """Score a table into another one.

    Parameters
    ----------
    data, model, params, prefix, explore, log
        As for `metamodel.scoring.score`.
    output
        Where to write; see `metamodel.tables.spark.write_spark`.

    Returns
    -------
    ScoreSummary
        Of the reasons one text for each status: what is counted is counted while the table is written.
    """
    opened = opened_model(model, explore)
    options = opened.options(params)
    # Starts the session, without which there are no columns.
    scored = _scored(data, opened, _place(opened, model), replace(options, detail=True), prefix, log)
    target = opened.manifest.target
    sums = _Sums(
        opened.route.form(options).statuses, target.name if target.name in scored.columns else None, target.task, prefix
    )
    answers = scored.observe(sums.observation, *sums.columns())
    asked_for = output_columns(opened.route, options)
    answers = answers.drop(*(f"{prefix}{name}" for name in (*DETAIL_COLUMNS, VARIANT) if name not in asked_for))
    try:
        write_spark(answers, output)
    except PySparkException as error:
        raise _own_error(error) from error
    return sums.summary()


class _Sums:
    """What is counted while Spark writes the answers: one pass, and nothing comes to the driver but these numbers."""

    def __init__(self, statuses: Sequence[str], target: str | None, task: str, prefix: str) -> None:
        self.observation = Observation()
        self._statuses = statuses
        self._target, self._task, self._prefix = target, task, prefix

    def columns(self) -> list[Column]:
        """Give the aggregates, each under a name of its own."""
        status = column(f"{self._prefix}status")
        counts = [F.count(F.when(status == name, 1)).alias(f"s{i}") for i, name in enumerate(self._statuses)]
        error = column(f"{self._prefix}error")
        texts = [F.max(F.when(status == name, error)).alias(f"e{i}") for i, name in enumerate(self._statuses)]
        return [*counts, *texts, *self._errors()]

    def _errors(self) -> list[Column]:
        if self._target is None:
            return []
        actual, predicted = column(self._target), column(f"{self._prefix}prediction")
        if self._task == "regression":
            actual = actual.cast("double")
            actual = F.when(~F.isnan(actual), actual)
            distance = F.abs(predicted - actual)
        else:
            distance = (predicted != actual).cast("double")
        judged = F.when(distance.isNotNull() & ~F.isnan(distance), actual.cast("double"))
        return [
            F.count(F.when(~F.isnan(distance), distance)).alias("rows"),
            F.sum(F.nanvl(distance, F.lit(0.0))).alias("absolute"),
            F.sum(F.nanvl(distance * distance, F.lit(0.0))).alias("squared"),
            F.avg(judged).alias("mean"),
            F.var_pop(judged).alias("variance"),
        ]

    def summary(self) -> ScoreSummary:
        """Say what became of the rows; waits until they are written."""
        seen = self.observation.get
        counted = {name: seen[f"s{i}"] for i, name in enumerate(self._statuses) if seen[f"s{i}"]}
        places = {name: i for i, name in enumerate(self._statuses)}
        reasons = {(name, seen[f"e{places[name]}"] or ""): rows for name, rows in counted.items() if name in UNANSWERED}
        if self._target is None or not seen["rows"]:
            return ScoreSummary(counted, reasons)
        spread = (seen["variance"] or 0.0) * seen["rows"]
        errors = Errors(seen["rows"], seen["absolute"], seen["squared"], seen["mean"] or 0.0, spread)
        return ScoreSummary(counted, reasons, errors.metrics(self._task), errors.rows)


def _added(route: Route, options: PredictOptions) -> dict[str, pa.DataType]:
    route.check(options)
    label = _LABEL_TYPES[route.label_kind or "number"]
    types = {"prediction": label, OTHER: label, **_ARROW_TYPES}
    return {name: types.get(name, pa.float64()) for name in output_columns(route, options)}


def _check(frame: DataFrame, model: MetaModel, added: list[str]) -> None:
    names = pd.DataFrame(columns=frame.columns)
    check_columns(names, model.manifest.keys.names, "group column")
    check_columns(names, model.manifest.features.names, "feature column")
    model.manifest.features.check_kinds(sample_frame(frame.select(*map(column, model.manifest.features.names))))
    check_free(frame.columns, added)


def _place(opened: MetaModel, model: Any) -> ModelPlace:
    uri = None if isinstance(model, MetaModel) else str(model)
    path = str(opened.path.absolute())
    fetches = uri or opened.manifest.references is not None
    return ModelPlace(path, opened.digest, uri, mlflow.get_tracking_uri() if fetches else None)


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
