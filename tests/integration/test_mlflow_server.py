"""MLflow's own scoring server in front of meta-models, asked over HTTP as users ask it."""

import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from edge_children import Moody
from numpy.testing import assert_allclose
from places import SUPPORT
from servers import Server, scoring_server
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

import metamodel

pytestmark = pytest.mark.server

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
# What a caller must never read in an error: a text and a number of their rows.
TEXT_MARK, NUMBER_MARK = "marker-41c7", 987651.25


# -------- requests
def _values(frame: pd.DataFrame, orient: str) -> Any:
    return json.loads(frame.to_json(orient=orient, date_format="iso", double_precision=15))


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    rows = _values(frame, "split")["data"]
    return {name: [row[i] for row in rows] for i, name in enumerate(frame)}


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


Shape = Callable[[pd.DataFrame], tuple[str | bytes, str]]
SHAPES: dict[str, Shape] = {
    "dataframe_split": lambda frame: (json.dumps({"dataframe_split": _values(frame, "split")}), JSON),
    "dataframe_records": lambda frame: (json.dumps({"dataframe_records": _values(frame, "records")}), JSON),
    "instances": lambda frame: (json.dumps({"instances": _values(frame, "records")}), JSON),
    "inputs of records": lambda frame: (json.dumps({"inputs": _values(frame, "records")}), JSON),
    "inputs of columns": lambda frame: (json.dumps({"inputs": _columns(frame)}), JSON),
    "csv": lambda frame: (frame.to_csv(index=False), CSV),
    "parquet": lambda frame: (_parquet(frame), PARQUET),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def _post(server: Server, body: str | bytes, content_type: str = JSON) -> requests.Response:
    data = body.encode() if isinstance(body, str) else body
    return requests.post(f"{server.url}/invocations", data=data, headers={"Content-Type": content_type}, timeout=60)


def _answers(server: Server, body: str | bytes, content_type: str = JSON) -> pd.DataFrame:
    answer = _post(server, body, content_type)
    assert answer.status_code == 200, f"{answer.text}\n{server.log}"
    return pd.DataFrame(_strict(answer.text)["predictions"], dtype=object)


def _records(server: Server, rows: list[dict[str, Any]], **params: Any) -> pd.DataFrame:
    return _answers(server, json.dumps({"dataframe_records": rows, "params": params}))


def _strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON: {text}")

    return json.loads(text, parse_constant=refuse)


def _serve(model_uri: str, directory: Path, workers: int = 1, **env: str) -> Any:
    # The server imports the children's classes.
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return scoring_server(model_uri, directory, workers, {"PYTHONPATH": path, **env})


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
    with _serve(housing_model, tmp_path_factory.mktemp("housing"), request.param) as running:
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
    answers = _answers(server, *shape(districts.drop(columns="by_hand")))
    assert answers.columns.tolist() == ["prediction", "status"]
    assert set(answers["status"]) == {"child"}
    assert_allclose(answers["prediction"].astype(float), districts["by_hand"], rtol=1e-9)


@every_shape
def test_one_row_alone_gets_its_answer(server: Server, districts: pd.DataFrame, shape: Shape) -> None:
    row = districts.dropna().head(1)
    answers = _answers(server, *shape(row.drop(columns="by_hand")))
    assert_allclose(answers["prediction"].astype(float), row["by_hand"], rtol=1e-9)


@pytest.mark.parametrize("name", ["dataframe_split", "csv", "parquet"])
def test_no_rows_get_no_answers(server: Server, districts: pd.DataFrame, name: str) -> None:
    assert _answers(server, *SHAPES[name](districts.drop(columns="by_hand").head(0))).empty


@every_shape
def test_extra_and_reordered_columns_change_nothing(server: Server, districts: pd.DataFrame, shape: Shape) -> None:
    rows = districts.dropna().drop(columns="by_hand").assign(colour="red", weight=1.5)
    answers = _answers(server, *shape(rows[rows.columns[::-1]]))
    assert_allclose(answers["prediction"].astype(float), districts.dropna()["by_hand"], rtol=1e-9)


@every_shape
def test_unknown_and_null_groups_are_answered_beside_the_others(
    server: Server, districts: pd.DataFrame, shape: Shape
) -> None:
    rows = districts.dropna().head(4)
    frame = rows.drop(columns="by_hand")
    frame["ocean_proximity"] = [frame["ocean_proximity"].iloc[0], "ATLANTIS", None, frame["ocean_proximity"].iloc[3]]
    answers = _answers(server, *shape(frame))
    assert answers["status"].tolist() == ["child", "unknown_group", "invalid_key", "child"]
    assert answers["prediction"].iloc[[1, 2]].tolist() == [None, None]
    assert_allclose(answers["prediction"].iloc[[0, 3]].astype(float), rows["by_hand"].iloc[[0, 3]], rtol=1e-9)


def test_the_param_detail_tells_who_answered(server: Server, districts: pd.DataFrame) -> None:
    rows = _values(districts.drop(columns="by_hand").head(2), "records")
    rows[1]["ocean_proximity"] = "ATLANTIS"
    answers = _records(server, rows, detail=True)
    assert answers.columns.tolist() == ["prediction", "status", "key", "level", "child_version", "error"]
    assert answers["key"].tolist() == [json.dumps([row["ocean_proximity"]]) for row in rows]
    assert answers["level"].tolist() == [1, -1]
    assert "No child model for group ('ATLANTIS',)" in answers["error"][1]


def test_an_unknown_param_is_ignored_as_mlflow_does(server: Server, districts: pd.DataFrame) -> None:
    rows = _values(districts.drop(columns="by_hand").head(1), "records")
    assert _records(server, rows, colour="red")["status"].tolist() == ["child"]


# -------- bad requests
def _bad(frame: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Rows that carry the marks, and what is wrong with them."""
    return frame.drop(columns="by_hand").assign(ocean_proximity=TEXT_MARK, population=NUMBER_MARK).assign(**columns)


def _assert_refused(answer: requests.Response, status: int, message: str) -> None:
    assert answer.status_code == status, answer.text
    body = _strict(answer.text)
    assert message in body["message"]
    for leak in (TEXT_MARK, str(NUMBER_MARK), "987651", "Traceback", "stack_trace", "site-packages"):
        assert leak not in answer.text
    assert "\n" not in body["message"]
    assert len(body["message"]) < 600


@every_shape
def test_a_missing_feature_is_named_and_no_row_is_quoted(server: Server, districts: pd.DataFrame, shape: Shape) -> None:
    answer = _post(server, *shape(_bad(districts.head(3)).drop(columns="households")))
    _assert_refused(answer, 400, "The table lacks feature column 'households'")


@every_shape
def test_a_missing_group_column_is_named_and_no_row_is_quoted(
    server: Server, districts: pd.DataFrame, shape: Shape
) -> None:
    answer = _post(server, *shape(_bad(districts.head(3)).drop(columns="ocean_proximity")))
    _assert_refused(answer, 400, "The table lacks group column 'ocean_proximity'")


@every_shape
def test_text_in_a_number_feature_is_refused_and_no_row_is_quoted(
    server: Server, districts: pd.DataFrame, shape: Shape
) -> None:
    answer = _post(server, *shape(_bad(districts.head(3), households=TEXT_MARK)))
    _assert_refused(answer, 400, "households")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"predict_method": "guess"}, "predict_method='guess' is unknown. Use one of: predict, predict_proba."),
        ({"predict_method": "predict_proba"}, "needs a classifier, but this model does regression"),
        ({"unknown": "error"}, 'the policy for these is "error"'),
        ({"unknown": "ignore"}, "unknown='ignore' is unknown. Use one of: null, error, fallback."),
        ({"detail": "yes"}, "The params are of a wrong type"),
        ({"predict_method": 3}, "The params are of a wrong type"),
        (["detail"], "The params are no JSON object"),
    ],
)
def test_a_wrong_param_is_refused_and_no_row_is_quoted(
    server: Server, districts: pd.DataFrame, params: Any, message: str
) -> None:
    body = {"dataframe_split": _values(_bad(districts.head(3)), "split"), "params": params}
    _assert_refused(_post(server, json.dumps(body)), 400, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"a,b\n{TEXT_MARK},{NUMBER_MARK}\n1,2,3,{TEXT_MARK}\n", "no CSV table"),
        (f'a,"b\n{TEXT_MARK},{NUMBER_MARK}', "no CSV table"),
        ("", "no CSV table"),
        (f"{TEXT_MARK}\n", "The table lacks group column"),
        (f"ocean_proximity,households,households\n{TEXT_MARK},1,2\n", "more than one column named 'households'"),
        (b"ocean_proximity\n\xff\xfe" + TEXT_MARK.encode(), "UTF-8"),
    ],
    ids=["ragged", "open quote", "empty", "header alone", "column twice", "not UTF-8"],
)
def test_a_malformed_csv_body_is_refused_without_quoting_it(server: Server, body: str | bytes, message: str) -> None:
    _assert_refused(_post(server, body, CSV), 400, message)


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
            _MISFIT,
        ),
        (json.dumps({"dataframe_split": {"columns": ["households"], "data": [[{TEXT_MARK: 1}]]}}), "'households'"),
        (json.dumps({"inputs": {"ocean_proximity": [TEXT_MARK], "households": [NUMBER_MARK, 1.0]}}), _MISFIT),
        (json.dumps({"inputs": {"ocean_proximity": [TEXT_MARK], "households": [TEXT_MARK, "1"]}}), _MISFIT),
    ],
)
def test_a_malformed_json_body_is_refused_without_quoting_it(server: Server, body: str, message: str) -> None:
    _assert_refused(_post(server, body), 400, message)


def test_a_malformed_parquet_body_is_refused_without_quoting_it(server: Server) -> None:
    _assert_refused(_post(server, f"PAR1{TEXT_MARK}PAR1", PARQUET), 400, "Parquet")


# -------- classification on many cells, in a cache for few
@pytest.fixture(scope="module")
def cells(_housing: pd.DataFrame) -> pd.DataFrame:
    """Cells of one degree (two integer columns), and price classes that do not all occur in every cell."""
    price = pd.cut(_housing["median_house_value"], [0, 100e3, 200e3, 400e3, np.inf], labels=False)
    return _housing.drop(columns=["median_house_value", "ocean_proximity"]).assign(
        lat=np.floor(_housing["latitude"]).astype("int64"),
        lon=np.floor(_housing["longitude"]).astype("int64"),
        price=np.array(["cheap", "fair", "dear", "top"])[price],
    )


@pytest.fixture(scope="module")
def cells_result(cells: pd.DataFrame) -> metamodel.TrainingResult:
    options = {"min_rows": 20, "holdout": 0, "n_jobs": 1, "stack": False}  # the children themselves, through a cache
    return metamodel.train(cells, ["lat", "lon"], "price", "decision_tree", {"max_depth": 4}, **options)


CELLS_CACHE_MB = 0.03


@pytest.fixture(scope="module")
def cells_server(cells_result: metamodel.TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    uri = metamodel.log_model(cells_result, report=False).model_uri
    with _serve(uri, tmp_path_factory.mktemp("cells"), METAMODEL_CACHE_MB=str(CELLS_CACHE_MB)) as running:
        yield running


@pytest.fixture(scope="module")
def cells_by_hand(cells: pd.DataFrame) -> dict[tuple[int, int], DecisionTreeClassifier]:
    return {
        key: DecisionTreeClassifier(max_depth=4, random_state=0).fit(
            rows.drop(columns=["lat", "lon", "price"]), rows["price"]
        )
        for key, rows in cells.groupby(["lat", "lon"])
        if len(rows) >= 20
    }


def _ask_children(children: Any, rows: pd.DataFrame) -> tuple[list[str | None], np.ndarray]:
    """Answer row by row with children fitted by hand: label, and a probability for every class of any child."""
    classes = ["cheap", "dear", "fair", "top"]
    labels, probabilities = [], np.full((len(rows), 4), np.nan)
    for i, (_, row) in enumerate(rows.iterrows()):
        child = children.get((row["lat"], row["lon"]))
        labels.append(None)
        if child is not None:
            x = row[child.feature_names_in_].to_frame().T.astype(float)
            labels[-1] = child.predict(x)[0]
            found = dict(zip(child.classes_, child.predict_proba(x)[0], strict=True))
            probabilities[i] = [found.get(label, 0.0) for label in classes]
    return labels, probabilities


def test_probabilities_are_aligned_over_groups_with_different_classes(
    cells_server: Server, cells: pd.DataFrame, cells_by_hand: dict[Any, Any]
) -> None:
    assert len({tuple(child.classes_) for child in cells_by_hand.values()}) > 2
    rows = cells.sample(200, random_state=1).drop(columns="price")
    body = {"dataframe_split": _values(rows, "split"), "params": {"predict_method": "predict_proba"}}
    answers = _answers(cells_server, json.dumps(body))
    columns = [f"probability_{label}" for label in ("cheap", "dear", "fair", "top")]
    labels, probabilities = _ask_children(cells_by_hand, rows)
    assert answers.columns.tolist() == ["prediction", *columns, "status"]
    assert answers["prediction"].tolist() == labels
    assert_allclose(answers[columns].astype(float), probabilities, rtol=1e-9)
    assert answers["status"].tolist() == ["unknown_group" if label is None else "child" for label in labels]


def test_eight_clients_at_once_get_right_answers_from_a_cache_smaller_than_the_children(
    cells_server: Server, cells: pd.DataFrame, cells_by_hand: dict[Any, Any], cells_result: metamodel.TrainingResult
) -> None:
    assert cells_result.manifest.counts["resident_bytes"] > 2 * CELLS_CACHE_MB * 2**20
    batches = [cells.drop(columns="price").sample(25, random_state=i) for i in range(48)]

    def ask(rows: pd.DataFrame) -> list[str | None]:
        return _answers(cells_server, *SHAPES["dataframe_split"](rows))["prediction"].tolist()

    with ThreadPoolExecutor(8) as clients:
        answered = list(clients.map(ask, batches))
    assert answered == [_ask_children(cells_by_hand, rows)[0] for rows in batches]


def test_numbers_that_are_no_integers_name_no_integer_group(cells_server: Server, cells: pd.DataFrame) -> None:
    row = _values(cells.drop(columns="price").query("lat == 37 and lon == -122").head(1), "records")[0]
    forms = [37, 37.0, 37.5, "37", True, None, 1e300, 2**70]
    answers = _records(cells_server, [{**row, "lat": form} for form in forms])
    assert answers["status"].tolist() == ["child"] * 2 + ["invalid_key"] * 6
    assert answers["prediction"].iloc[0] == answers["prediction"].iloc[1] is not None
    assert answers["prediction"].iloc[2:].tolist() == [None] * 6


def test_one_bad_key_of_a_csv_body_spoils_no_other_row(cells_server: Server, cells: pd.DataFrame) -> None:
    rows = cells.drop(columns="price").query("lat == 37 and lon == -122").head(5).astype({"lat": object})
    rows["lat"] = ["37", "37.0", "37.5", "north", ""]
    answers = _answers(cells_server, *SHAPES["csv"](rows))
    assert answers["status"].tolist() == ["child", "child", "invalid_key", "invalid_key", "invalid_key"]


# -------- children with bad manners
@pytest.fixture(scope="module")
def moody_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    table = pd.DataFrame({"store": [1, 1, 2, 2, 3, 3], "x": 1.0, "y": [5.0, 5, -1, -1, -2, -2]})
    result = metamodel.train(table, "store", "y", Moody(), holdout=0, n_jobs=1, duplicates="keep")
    with _serve(metamodel.log_model(result, report=False).model_uri, tmp_path_factory.mktemp("moody")) as running:
        yield running


@every_shape
def test_nan_and_infinity_of_a_child_come_as_null(moody_server: Server, shape: Shape) -> None:
    answers = _answers(moody_server, *shape(pd.DataFrame({"store": [3, 2, 1], "x": [0.5, 0.5, 0.5]})))
    assert answers["prediction"].tolist() == [None, None, 5.0]
    assert answers["status"].tolist() == ["child"] * 3


@every_shape
def test_a_row_that_a_child_cannot_answer_takes_no_other_row_with_it(moody_server: Server, shape: Shape) -> None:
    answers = _answers(moody_server, *shape(pd.DataFrame({"store": [1, 1, 2, 1], "x": [0.5, -0.5, 0.5, 0.5]})))
    assert answers["prediction"].tolist() == [5.0, None, None, 5.0]
    assert answers["status"].tolist() == ["child", "failed", "child", "child"]


# -------- keys that are text
@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    """Namibia, codes with leading zeros, dates: groups that a careless reader takes for something else."""
    keys = pd.DataFrame(
        {
            "country": ["NA", "NA", "DE", "None", "true"],
            "code": ["007", "7", "007", "1e3", "0"],
            "day": pd.to_datetime(["2026-01-31"] * 3 + ["2026-02-01"] * 2).date,
            "by_hand": [10.0, 20.0, 30.0, 40.0, 50.0],
        }
    )
    return keys.merge(pd.DataFrame({"colour": ["red", "blue", "NULL"]}), how="cross")


@pytest.fixture(scope="module")
def texts_server(texts: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    result = metamodel.train(texts, ["country", "code", "day"], "by_hand", "dummy", holdout=0, n_jobs=1)
    with _serve(metamodel.log_model(result, report=False).model_uri, tmp_path_factory.mktemp("texts")) as running:
        yield running


@every_shape
def test_keys_and_features_of_text_alone_are_read_as_they_were_sent(
    texts_server: Server, texts: pd.DataFrame, shape: Shape
) -> None:
    rows = texts.sample(frac=1, random_state=0)
    rows["day"] = rows["day"].map(str)
    answers = _answers(texts_server, *shape(rows.drop(columns="by_hand")))
    assert set(answers["status"]) == {"child"}
    assert answers["prediction"].tolist() == rows["by_hand"].tolist()


@pytest.mark.parametrize("rows", [1, 2])
def test_columns_of_text_alone_are_as_many_rows_as_were_sent(
    texts_server: Server, texts: pd.DataFrame, rows: int
) -> None:
    frame = texts.head(rows).drop(columns="by_hand").astype({"day": str})
    assert len(_answers(texts_server, *SHAPES["inputs of columns"](frame))) == rows


def test_dates_in_a_parquet_body_name_their_group(texts_server: Server, texts: pd.DataFrame) -> None:
    answers = _answers(texts_server, *SHAPES["parquet"](texts.drop(columns="by_hand")))
    assert answers["prediction"].tolist() == texts["by_hand"].tolist()
