"""MLflow's own scoring server in front of children of real rows, asked over HTTP as users ask it."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import requests
from numpy.testing import assert_allclose
from payloads import SHAPES, Shape, answers_of, every_shape, records_of, serve, values
from servers import Server
from serving import CSV, PARQUET, post, strict
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import metamodel

pytestmark = pytest.mark.server

# What a caller must never read in an error: a text and a number of their rows.
TEXT_MARK, NUMBER_MARK = "marker-41c7", 987651.25


# -------- regression on five groups of real rows
@pytest.fixture(scope="module")
def housing_model(_housing: pd.DataFrame) -> str:
    result = metamodel.train(_housing, "ocean_proximity", "median_house_value", "ridge", n_jobs=1)
    return metamodel.log_model(result, report=False).model_uri


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(1, id="one worker"),
        pytest.param(2, id="two workers", marks=pytest.mark.tableless),
    ],
)
def server(
    request: pytest.FixtureRequest, housing_model: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with serve(housing_model, tmp_path_factory.mktemp("housing"), request.param) as running:
        yield running


@pytest.fixture(scope="module")
def districts(_housing: pd.DataFrame) -> pd.DataFrame:
    """Some rows of every group, mixed, with what children fitted by hand say of them; nulls among the features."""
    predicted = []
    for _, rows in _housing.groupby("ocean_proximity"):
        features = rows.drop(columns=["ocean_proximity", "median_house_value"])
        child = make_pipeline(SimpleImputer(strategy="median"), Ridge()).fit(features, rows["median_house_value"])
        predicted.append(pd.Series(child.predict(features), rows.index))
    known = _housing.drop(columns="median_house_value").assign(by_hand=pd.concat(predicted))
    some = known.groupby("ocean_proximity").sample(40, random_state=0, replace=True)
    mixed = pd.concat([some, known[known.isna().any(axis=1)].head(10)]).sample(frac=1, random_state=0)
    assert mixed["total_bedrooms"].isna().any()
    return mixed.reset_index(drop=True)


@every_shape
def test_every_payload_shape_gets_the_answers_of_children_fitted_by_hand(
    server: Server, districts: pd.DataFrame, shape: Shape
) -> None:
    answers = answers_of(server, *shape(districts.drop(columns="by_hand")))
    assert answers.columns.tolist() == ["prediction", "status"]
    assert set(answers["status"]) == {"child"}
    assert_allclose(answers["prediction"].astype(float), districts["by_hand"], rtol=1e-9)


@every_shape
def test_one_row_alone_gets_its_answer(server: Server, districts: pd.DataFrame, shape: Shape) -> None:
    row = districts.dropna().head(1)
    answers = answers_of(server, *shape(row.drop(columns="by_hand")))
    assert_allclose(answers["prediction"].astype(float), row["by_hand"], rtol=1e-9)


@pytest.mark.parametrize("name", ["dataframe_split", "csv", "parquet"])
def test_no_rows_get_no_answers(server: Server, districts: pd.DataFrame, name: str) -> None:
    assert answers_of(server, *SHAPES[name](districts.drop(columns="by_hand").head(0))).empty


@every_shape
def test_extra_and_reordered_columns_change_nothing(server: Server, districts: pd.DataFrame, shape: Shape) -> None:
    rows = districts.dropna().drop(columns="by_hand").assign(colour="red", weight=1.5)
    answers = answers_of(server, *shape(rows[rows.columns[::-1]]))
    assert_allclose(answers["prediction"].astype(float), districts.dropna()["by_hand"], rtol=1e-9)


@every_shape
def test_unknown_and_null_groups_are_answered_beside_the_others(
    server: Server, districts: pd.DataFrame, shape: Shape
) -> None:
    rows = districts.dropna().head(4)
    frame = rows.drop(columns="by_hand")
    frame["ocean_proximity"] = [frame["ocean_proximity"].iloc[0], "ATLANTIS", None, frame["ocean_proximity"].iloc[3]]
    answers = answers_of(server, *shape(frame))
    assert answers["status"].tolist() == ["child", "unknown_group", "invalid_key", "child"]
    assert answers["prediction"].iloc[[1, 2]].tolist() == [None, None]
    assert_allclose(answers["prediction"].iloc[[0, 3]].astype(float), rows["by_hand"].iloc[[0, 3]], rtol=1e-9)


def test_the_param_detail_tells_who_answered(server: Server, districts: pd.DataFrame) -> None:
    rows = values(districts.drop(columns="by_hand").head(2), "records")
    rows[1]["ocean_proximity"] = "ATLANTIS"
    answers = records_of(server, rows, detail=True)
    assert answers.columns.tolist() == ["prediction", "status", "key", "level", "child_version", "error"]
    assert answers["key"].tolist() == [json.dumps([row["ocean_proximity"]]) for row in rows]
    assert answers["level"].tolist() == [1, -1]
    assert "No child model for group ('ATLANTIS',)" in answers["error"][1]


def test_an_unknown_param_is_ignored_as_mlflow_does(server: Server, districts: pd.DataFrame) -> None:
    rows = values(districts.drop(columns="by_hand").head(1), "records")
    assert records_of(server, rows, colour="red")["status"].tolist() == ["child"]


# -------- bad requests
def _bad(frame: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Rows that carry the marks, and what is wrong with them."""
    return frame.drop(columns="by_hand").assign(ocean_proximity=TEXT_MARK, population=NUMBER_MARK).assign(**columns)


def _assert_refused(answer: requests.Response, status: int, message: str) -> None:
    assert answer.status_code == status, answer.text
    body = strict(answer.text)
    assert message in body["message"]
    for leak in (TEXT_MARK, str(NUMBER_MARK), "987651", "Traceback", "stack_trace", "site-packages"):
        assert leak not in answer.text
    assert "\n" not in body["message"]
    assert len(body["message"]) < 600


@every_shape
def test_a_missing_feature_is_named_and_no_row_is_quoted(server: Server, districts: pd.DataFrame, shape: Shape) -> None:
    answer = post(server, *shape(_bad(districts.head(3)).drop(columns="households")))
    _assert_refused(answer, 400, "The table lacks feature column 'households'")


@every_shape
def test_a_missing_group_column_is_named_and_no_row_is_quoted(
    server: Server, districts: pd.DataFrame, shape: Shape
) -> None:
    answer = post(server, *shape(_bad(districts.head(3)).drop(columns="ocean_proximity")))
    _assert_refused(answer, 400, "The table lacks group column 'ocean_proximity'")


@pytest.mark.parametrize("name", sorted(SHAPES.keys() - {"parquet"}))
def test_text_in_a_number_feature_fails_its_own_row_alone(server: Server, districts: pd.DataFrame, name: str) -> None:
    rows = districts.dropna().head(3).reset_index(drop=True).astype({"households": object})
    rows.loc[1, "households"] = TEXT_MARK
    answers = answers_of(server, *SHAPES[name](rows.drop(columns="by_hand")))
    assert answers["status"].tolist() == ["child", "failed", "child"]
    assert_allclose(answers["prediction"].drop(1).astype(float), rows["by_hand"].drop(1), rtol=1e-9)


def test_why_a_row_with_text_in_a_number_feature_failed_is_said_without_the_text(
    server: Server, districts: pd.DataFrame
) -> None:
    rows = values(_bad(districts.head(2), households=TEXT_MARK), "records")
    rows = [{**row, "ocean_proximity": place} for row, place in zip(rows, districts["ocean_proximity"], strict=False)]
    answers = records_of(server, rows, detail=True)
    assert answers["error"].tolist() == ["Feature 'households' is not a number."] * 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"predict_method": "guess"}, "predict_method has a value that is unknown. Use one of: predict, predict_proba"),
        ({"predict_method": "predict_proba"}, "needs a classifier, but this model does regression"),
        ({"unknown": "error"}, 'the policy for these is "error"'),
        ({"unknown": "ignore"}, "unknown has a value that is unknown. Use one of: null, error, fallback."),
        ({"detail": "yes"}, "The params are of a wrong type"),
        ({"predict_method": 3}, "The params are of a wrong type"),
        (["detail"], "The params are no JSON object"),
    ],
)
def test_a_wrong_param_is_refused_and_no_row_is_quoted(
    server: Server, districts: pd.DataFrame, params: Any, message: str
) -> None:
    body = {"dataframe_split": values(_bad(districts.head(3)), "split"), "params": params}
    _assert_refused(post(server, json.dumps(body)), 400, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"a,b\n{TEXT_MARK},{NUMBER_MARK}\n1,2,3,{TEXT_MARK}\n", "more fields than its header"),
        (f'a,"b\n{TEXT_MARK},{NUMBER_MARK}', "no CSV table"),
        ("", "no CSV table"),
        (f"{TEXT_MARK}\n", "The table lacks group column"),
        (f"ocean_proximity,households,households\n{TEXT_MARK},1,2\n", "more than one column named 'households'"),
        (b"ocean_proximity\n\xff\xfe" + TEXT_MARK.encode(), "UTF-8"),
    ],
    ids=["ragged", "open quote", "empty", "header alone", "column twice", "not UTF-8"],
)
def test_a_malformed_csv_body_is_refused_without_quoting_it(server: Server, body: str | bytes, message: str) -> None:
    _assert_refused(post(server, body, CSV), 400, message)


_MISFIT = "The values do not fit the model's columns"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f'{{"dataframe_records": [{{"{TEXT_MARK}"', "The body is no JSON."),
        (json.dumps([TEXT_MARK]), "The body is no JSON object."),
        (json.dumps({"rows": [TEXT_MARK]}), "The body names no table."),
        (json.dumps({"inputs": TEXT_MARK}), "The table lacks group column"),
        (json.dumps({"dataframe_records": TEXT_MARK}), "not laid out as the key above it says"),
        (json.dumps({"dataframe_records": [1, NUMBER_MARK]}), "The table lacks group column"),
        (json.dumps({"dataframe_split": TEXT_MARK}), "not laid out as the key above it says"),
        (json.dumps({"dataframe_split": {"columns": [TEXT_MARK]}}), "not laid out as the key above it says"),
        (json.dumps({"dataframe_split": {"columns": ["a"], "data": [[TEXT_MARK, NUMBER_MARK]]}}), _MISFIT),
        (
            json.dumps({"dataframe_split": {"columns": ["ocean_proximity"] * 2, "data": [[TEXT_MARK, NUMBER_MARK]]}}),
            "The table has more than one column named 'ocean_proximity'",
        ),
        (
            json.dumps({"dataframe_split": {"columns": ["households"], "data": [[{TEXT_MARK: 1}]]}}),
            "The table lacks group column",
        ),
        (json.dumps({"inputs": {"ocean_proximity": [TEXT_MARK], "households": [NUMBER_MARK, 1.0]}}), _MISFIT),
        (json.dumps({"inputs": {"ocean_proximity": [TEXT_MARK], "households": [TEXT_MARK, "1"]}}), _MISFIT),
    ],
)
def test_a_malformed_json_body_is_refused_without_quoting_it(server: Server, body: str, message: str) -> None:
    _assert_refused(post(server, body), 400, message)


def test_a_malformed_parquet_body_is_refused_without_quoting_it(server: Server) -> None:
    _assert_refused(post(server, f"PAR1{TEXT_MARK}PAR1", PARQUET), 400, "Parquet")
