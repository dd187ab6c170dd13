"""Random tables: every way in which rows reach a model gives the same answers, or refuses in words."""

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from mlflow.pyfunc import PyFuncModel
from random_tables import RandomTable, random_tables

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.exceptions import AllGroupsFailed, InputError, MetaModelError
from metamodel.flavor.pyfunc import GroupedModel
from metamodel.serving.scorer import Scorer

# docs/evaluation.md says how to ask for more.
TABLES = int(os.environ.get("METAMODEL_RANDOM_TABLES", "25"))

# Spark takes seconds for each.
SPARK_TABLES = max(2, TABLES // 20)

WAYS = (
    "in_training_dtypes",
    "alone",
    "alone_in_training_dtypes",
    "shuffled",
    "csv",
    "parquet",
    "pyfunc",
    "json_split",
    "json_records",
    "json_instances",
    "json_inputs",
    "json_alone",
    "csv_body",
)


class Asked:
    """The same rows on every way to one model."""

    def __init__(self, table: RandomTable, bundle: Path, folder: Path) -> None:
        self.table, self.folder = table, folder
        self.model = MetaModel(bundle)
        self.rows = table.asked()
        self.scorer = Scorer(self.model, 1000)
        self.params: dict[str, Any] = {"detail": True} | (
            {"predict_method": "predict_proba"} if self.model.route.task == "classification" else {}
        )

    def as_objects(self) -> list[Any]:
        return self._of_frame(self.model.predict(self.rows, self.params))

    def in_training_dtypes(self) -> list[Any]:
        return self._of_frame(self.model.predict(self.table.in_training_dtypes(self.rows), self.params))

    def alone(self) -> list[Any]:
        parts = [self.rows.iloc[[i]] for i in range(len(self.rows))]
        return [self._of_frame(self.model.predict(part, self.params))[0] for part in parts]

    def alone_in_training_dtypes(self) -> list[Any]:
        parts = [self.table.in_training_dtypes(self.rows.iloc[[i]]) for i in range(len(self.rows))]
        return [self._of_frame(self.model.predict(part, self.params))[0] for part in parts]

    def shuffled(self) -> list[Any]:
        shuffled = self.table.in_training_dtypes(self.rows).sample(frac=1, random_state=self.table.seed)
        return self._of_frame(self.model.predict(shuffled, self.params).sort_index())

    def csv(self) -> list[Any]:
        path = self.folder / "asked.csv"
        self.table.in_training_dtypes(self.rows).to_csv(path, index=False)
        return self._of_frame(metamodel.score(path, self.model, params=self.params))

    def parquet(self) -> list[Any]:
        path = _written(self.table.in_training_dtypes(self.rows), self.folder / "asked.parquet")
        return self._of_frame(metamodel.score(path, self.model, params=self.params))

    def pyfunc(self) -> list[Any]:
        python_model = GroupedModel()
        python_model.load_context(SimpleNamespace(artifacts={"bundle": str(self.model.bundle.path)}, model_config={}))
        loaded = PyFuncModel(self.scorer.reader._by_mlflow.metadata, _Wrapped(python_model))
        return self._of_frame(loaded.predict(self.table.in_training_dtypes(self.rows), self.params))

    def json_split(self) -> list[Any]:
        return self._by_server({"dataframe_split": {"columns": list(self.rows), "data": _json_rows(self.rows)}})

    def json_records(self) -> list[Any]:
        return self._by_server(
            {"dataframe_records": [dict(zip(self.rows, row, strict=True)) for row in _json_rows(self.rows)]}
        )

    def json_instances(self) -> list[Any]:
        return self._by_server({"instances": [dict(zip(self.rows, row, strict=True)) for row in _json_rows(self.rows)]})

    def json_inputs(self) -> list[Any]:
        columns = zip(*_json_rows(self.rows), strict=True)
        return self._by_server({"inputs": dict(zip(self.rows, map(list, columns), strict=True))})

    def json_alone(self) -> list[Any]:
        rows = _json_rows(self.rows)
        return [self._by_server({"dataframe_split": {"columns": list(self.rows), "data": [row]}})[0] for row in rows]

    def csv_body(self) -> list[Any]:
        text = self.table.in_training_dtypes(self.rows).to_csv(index=False)
        reply = self.scorer.answer_by_mlflow(text.encode(), "text/csv")
        # Text has no room for params.
        assert reply.status == 200, reply.body
        return [(one["status"], _plain(one["prediction"])) for one in json.loads(reply.body)["predictions"]]

    def spark(self) -> list[Any]:
        rows = self.table.in_training_dtypes(self.rows).assign(row=range(len(self.rows)))
        path = _written(rows, self.folder / "spark.parquet", coerce_timestamps="us")
        answered = metamodel.score(path, self.model, engine="spark", params=self.params)
        return self._of_frame(answered.toPandas().sort_values("row"))

    def _by_server(self, sent: dict[str, Any]) -> list[Any]:
        body = json.dumps({**sent, "params": self.params}).encode()
        answered = self.scorer.answer_by_mlflow(body, "application/json")
        assert answered.status == 200, answered.body
        plain = self.scorer.read(body, "application/json")
        if plain is not None:
            assert json.loads(self.scorer.answer(plain).body) == json.loads(answered.body)
        return [self._one(one) for one in json.loads(answered.body)["predictions"]]

    def _of_frame(self, answered: pd.DataFrame) -> list[Any]:
        return [self._one(one) for one in answered.to_dict("records")]

    def _one(self, answer: dict[str, Any]) -> tuple[Any, ...]:
        status = answer["status"]
        assert (status in ("failed", "invalid_key")) == bool(answer["error"] and status != "unknown_group"), answer
        names = [name for name in answer if name.startswith("probability_")]
        return (status, _plain(answer["prediction"]), *[_plain(answer[name]) for name in names])


class _Wrapped:
    def __init__(self, python_model: GroupedModel) -> None:
        self._python_model = python_model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return self._python_model.predict(None, data, params)


def _written(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    """Write rows to Parquet; columns that it cannot hold, of integers and fractions, become floats."""
    floats = {}
    for name in frame:
        try:
            pa.array(frame[name], from_pandas=True)
        except (pa.ArrowException, OverflowError):
            floats[name] = frame[name].astype("float64")
    frame.assign(**floats).to_parquet(path, index=False, **options)
    return path


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value) or value in (math.inf, -math.inf):
        return None
    if isinstance(value, float | np.floating):
        return float(f"{value:.9e}")
    return value.item() if isinstance(value, np.generic) else value


def _json_rows(rows: pd.DataFrame) -> list[list[Any]]:
    return [[_json(value) for value in row] for row in rows.astype(object).to_numpy().tolist()]


def _json(value: Any) -> Any:
    if value is None or value != value:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) else float(value)


def trained(table: RandomTable, folder: Path) -> Path | None:
    """Train on a table; None where it is refused, in words."""
    # Of the kinds that are drawn only a duration is no feature.
    durations = [name for name, (kind, _) in zip(table.feature_names, table.features, strict=True) if kind.is_duration]
    options = table.options() | {"output_dir": folder / "bundle"}
    if not durations:
        try:
            return metamodel.train(table.training(), **options).bundle_path
        except AllGroupsFailed as error:
            if "Unknown label type: continuous" not in str(error):
                raise
            return None  # fractions as labels, which scikit-learn's own classifiers refuse
    with pytest.raises(InputError, match=rf"^Feature column {', '.join(map(repr, durations))} holds values .+\.$"):
        metamodel.train(table.training(), **options)
    return None


@settings(max_examples=TABLES)
@given(table=random_tables())
@pytest.mark.filterwarnings("ignore")
def test_every_way_to_a_model_gives_the_answers_of_its_rows_as_objects(
    table: RandomTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    bundle = trained(table, folder)
    if bundle is None:
        return
    asked = Asked(table, bundle, folder)
    expected = asked.as_objects()
    assert len(expected) == len(asked.rows)
    for way in WAYS:
        answers = getattr(asked, way)()
        assert answers == ([answer[:2] for answer in expected] if way == "csv_body" else expected), way


@settings(max_examples=SPARK_TABLES)
@given(table=random_tables())
@pytest.mark.filterwarnings("ignore")
def test_spark_gives_the_answers_of_the_rows_as_objects(
    spark: Any, table: RandomTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    bundle = trained(table, folder)
    if bundle is not None:
        asked = Asked(table, bundle, folder)
        assert asked.spark() == asked.as_objects()


@settings(max_examples=max(3, TABLES // 5))
@given(table=random_tables())
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_a_parquet_file_answers_as_that_of_the_frame(
    table: RandomTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    bundle = trained(table, folder)
    if bundle is None:
        return
    path = _written(table.training(), folder / "training.parquet")
    again = metamodel.train(path, **table.options(), output_dir=folder / "again").bundle_path
    assert Asked(table, again, folder).as_objects() == Asked(table, bundle, folder).as_objects()


def _kinds(bundle: Path) -> list[Any]:
    """What a model has recorded of its columns, and not in which dtype they came."""
    manifest = MetaModel(bundle).manifest
    features = [(one.name, one.kind, one.form, one.categories) for one in manifest.features.features]
    keys = [(column.name, column.kind) for column in manifest.keys.columns]
    return [*keys, *features, manifest.features.layout, manifest.target.label_kind, manifest.target.classes]


@settings(max_examples=max(3, TABLES // 5))
@given(table=random_tables())
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_a_csv_file_answers_as_that_of_the_frame_where_a_text_can_hold_its_columns(
    table: RandomTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    bundle = trained(table, folder)
    if bundle is None:
        return
    path = folder / "training.csv"
    table.training().to_csv(path, index=False)
    try:
        again = metamodel.train(path, **table.options(), output_dir=folder / "again").bundle_path
    except MetaModelError:  # in words: a text cannot hold these columns
        return
    if _kinds(again) == _kinds(bundle):  # a date, a category or the text "7" is another thing in a CSV file
        assert Asked(table, again, folder).as_objects() == Asked(table, bundle, folder).as_objects()


@settings(max_examples=SPARK_TABLES)
@given(table=random_tables())
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_that_spark_trains_answers_as_that_of_this_machine(
    spark: Any, table: RandomTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("table")
    if trained(table, folder) is None:
        return
    path = _written(table.training(), folder / "training.parquet", coerce_timestamps="us")
    here = metamodel.train(path, **table.options(), output_dir=folder / "here").bundle_path
    on_spark = metamodel.train(str(path), **table.options(), engine="spark", output_dir=folder / "spark").bundle_path
    assert _kinds(on_spark) == _kinds(here)
    assert Asked(table, on_spark, folder).as_objects() == Asked(table, here, folder).as_objects()
