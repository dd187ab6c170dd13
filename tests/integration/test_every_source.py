"""The answer to a row is the same alone and in any batch, from any source, or the row is refused in words."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from echo_child import Echo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.serving.scorer import Scorer

COLUMNS = ["shop", "rooms", "floor", "lift", "area", "kind", "street", "built"]


def flats() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "shop": ["inner", "outer"] * 20,
            "rooms": np.tile(np.array([1, 2, 3, 4], dtype="int8"), 10),
            "floor": pd.array([0, None, 5, 2] * 10, dtype="Int64"),
            "lift": [True, False, False, True] * 10,
            "area": np.linspace(20, 90, 40).astype("float32"),
            "kind": pd.Categorical([3, 5] * 20),
            "street": ["007", "None"] * 20,
            "built": pd.date_range("1990-01-01", periods=40, freq="90D").as_unit("s"),
            "rent": np.linspace(400, 900, 40),
        }
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MetaModel:
    folder = tmp_path_factory.mktemp("flats") / "bundle"
    return MetaModel(metamodel.train(flats(), "shop", "rent", Echo(), output_dir=folder, n_jobs=1).bundle_path)


@pytest.fixture(scope="module")
def scorer(model: MetaModel) -> Scorer:
    return Scorer(model, 1000)


ROW = st.tuples(
    st.sampled_from(["inner", "outer"]),
    st.sampled_from([1, 4, 300, 2.5, None]),
    st.sampled_from([0, 7, None]),
    st.sampled_from([True, False, None]),
    st.sampled_from([20.5, 0.1, None]),
    st.sampled_from([3, 5, 9, None]),
    st.sampled_from(["007", "None", "NA", None]),
    st.sampled_from(["1990-01-01", "2001-05-06T07:08:09", None]),
)

ROWS = st.lists(ROW, min_size=1, max_size=20)


def as_objects(rows: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(COLUMNS)})


def as_numpy(rows: list[Any]) -> pd.DataFrame:
    frame = as_objects(rows)
    numbers = {name: frame[name].astype("float64") for name in ("rooms", "floor", "area", "kind")}
    return frame.assign(**numbers, built=pd.to_datetime(frame["built"], format="ISO8601").astype("datetime64[ns]"))


def as_nullable(rows: list[Any]) -> pd.DataFrame:
    frame = as_numpy(rows)
    kinds = {"floor": "Int64", "lift": "boolean", "rooms": "Float64", "area": "Float64", "kind": "category"}
    return frame.astype({**kinds, "street": "string"})


def as_arrow(rows: list[Any]) -> pd.DataFrame:
    kinds = {"floor": "int32[pyarrow]", "lift": "bool[pyarrow]", "rooms": "double[pyarrow]", "kind": "int8[pyarrow]"}
    frame = as_nullable(rows).astype({"kind": "Int64", "built": "timestamp[us][pyarrow]"})
    return frame.astype({**kinds, "street": "string[pyarrow]"})


FRAMES = {"objects": as_objects, "numpy": as_numpy, "nullable": as_nullable, "arrow": as_arrow}


def answers(model: MetaModel, data: Any) -> list[Any]:
    answered = model.predict(data) if isinstance(data, pd.DataFrame) else metamodel.score(data, model)
    return list(zip(answered["status"], answered["prediction"].fillna(-1.0), strict=True))


def alone(model: MetaModel, rows: list[Any]) -> list[Any]:
    return [answers(model, as_objects([row]))[0] for row in rows]


def written(rows: list[Any], kind: str, folder: Path) -> Path:
    path = folder / f"flats.{kind}"
    if kind == "csv":
        as_objects(rows).to_csv(path, index=False)
    else:
        as_nullable(rows).astype({"kind": "Int64"}).to_parquet(path)
    return path


@pytest.mark.parametrize("source", FRAMES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_a_frame_of_any_dtypes_answers_as_each_row_alone(source: str, model: MetaModel, rows: list[Any]) -> None:
    assert answers(model, FRAMES[source](rows)) == alone(model, rows)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_a_file_answers_as_each_row_alone(kind: str, model: MetaModel, rows: list[Any], tmp_path: Path) -> None:
    assert answers(model, written(rows, kind, tmp_path)) == alone(model, rows)


@pytest.mark.parametrize("layout", ["dataframe_split", "dataframe_records", "csv"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_a_request_answers_as_each_row_alone(layout: str, scorer: Scorer, rows: list[Any]) -> None:
    table = {"columns": COLUMNS, "data": rows}
    if layout == "dataframe_records":
        table = [dict(zip(COLUMNS, row, strict=True)) for row in rows]  # type: ignore[assignment]
    body, media_type = json.dumps({layout: table}).encode(), "application/json"
    if layout == "csv":
        text = io.StringIO()
        as_objects(rows).to_csv(text, index=False)
        body, media_type = text.getvalue().encode(), "text/csv"
    reply = scorer.answer_by_mlflow(body, media_type)
    assert reply.status == 200, reply.body
    given = [(one["status"], one["prediction"]) for one in json.loads(reply.body)["predictions"]]
    assert given == alone(scorer.model, rows)


@pytest.mark.parametrize("bad", [("lift", "perhaps"), ("kind", "north"), ("built", "soon"), ("street", 7)])
def test_a_value_of_no_kind_is_refused_in_words_and_moves_no_other(bad: tuple[str, Any], model: MetaModel) -> None:
    rows = [("inner", 1, 0, True, 20.5, 3, "007", "1990-01-01")] * 3
    frame = as_objects(rows)
    frame.loc[1, bad[0]] = bad[1]
    got = model.predict(frame, {"detail": True})
    assert got["status"].tolist() == ["child", "failed", "child"]
    assert got["error"].iloc[1].startswith(f"Feature {bad[0]!r} is n")
    assert got["prediction"].iloc[[0, 2]].tolist() == [alone(model, rows[:1])[0][1]] * 2


@pytest.fixture(scope="module")
def numeric(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder = tmp_path_factory.mktemp("numbers") / "bundle"
    features = ["rooms", "floor", "lift", "area"]
    asked = {"features": features, "output_dir": folder, "n_jobs": 1}
    trained = metamodel.train(flats(), "shop", "rent", "hist_gradient_boosting", **asked)
    return Scorer(MetaModel(trained.bundle_path), 1000)


def test_plain_json_takes_the_short_way_only_where_children_take_a_matrix(scorer: Scorer, numeric: Scorer) -> None:
    body = json.dumps(
        {"dataframe_records": [dict(zip(COLUMNS, ("inner", 1, 0, True, 20.5, 3, "a", None), strict=True))]}
    )
    assert scorer.read(body.encode(), "application/json") is None
    assert numeric.read(body.encode(), "application/json") is not None


@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_the_short_way_of_plain_json_answers_as_each_row_alone(numeric: Scorer, rows: list[Any]) -> None:
    body = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": rows}}).encode()
    request = numeric.read(body, "application/json")
    assert request is not None
    given = [(one["status"], one["prediction"]) for one in json.loads(numeric.answer(request).body)["predictions"]]
    expected = alone(numeric.model, rows)
    assert [status for status, _ in given] == [status for status, _ in expected]
    assert [answer for _, answer in given] == pytest.approx([answer for _, answer in expected], rel=1e-9)
