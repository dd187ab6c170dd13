"""What comes out of MLflow's own scoring server: classes, children with bad manners, keys that are text."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import edge_children
import numpy as np
import pandas as pd
import pytest
from edge_children import Moody
from numpy.testing import assert_allclose
from payloads import SHAPES, Shape, answers_of, every_shape, records_of, serve, values
from servers import Server
from sklearn.tree import DecisionTreeClassifier

import metamodel

pytestmark = pytest.mark.server


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
    with serve(uri, tmp_path_factory.mktemp("cells"), METAMODEL_CACHE_MB=str(CELLS_CACHE_MB)) as running:
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
    body = {"dataframe_split": values(rows, "split"), "params": {"predict_method": "predict_proba"}}
    answers = answers_of(cells_server, json.dumps(body))
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
        return answers_of(cells_server, *SHAPES["dataframe_split"](rows))["prediction"].tolist()

    with ThreadPoolExecutor(8) as clients:
        answered = list(clients.map(ask, batches))
    assert answered == [_ask_children(cells_by_hand, rows)[0] for rows in batches]


def test_numbers_that_are_no_integers_name_no_integer_group(cells_server: Server, cells: pd.DataFrame) -> None:
    row = values(cells.drop(columns="price").query("lat == 37 and lon == -122").head(1), "records")[0]
    forms = [37, 37.0, 37.5, "37", True, None, 1e300, 2**70]
    answers = records_of(cells_server, [{**row, "lat": form} for form in forms])
    assert answers["status"].tolist() == ["child"] * 2 + ["invalid_key"] * 6
    assert answers["prediction"].iloc[0] == answers["prediction"].iloc[1] is not None
    assert answers["prediction"].iloc[2:].tolist() == [None] * 6


def test_one_bad_key_of_a_csv_body_spoils_no_other_row(cells_server: Server, cells: pd.DataFrame) -> None:
    rows = cells.drop(columns="price").query("lat == 37 and lon == -122").head(5).astype({"lat": object})
    rows["lat"] = ["37", "37.0", "37.5", "north", ""]
    answers = answers_of(cells_server, *SHAPES["csv"](rows))
    assert answers["status"].tolist() == ["child", "child", "invalid_key", "invalid_key", "invalid_key"]


# -------- children with bad manners
@pytest.fixture(scope="module")
def moody_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    table = pd.DataFrame({"store": [1, 1, 2, 2, 3, 3], "x": 1.0, "y": [5.0, 5, -1, -1, -2, -2]})
    result = metamodel.train(table, "store", "y", Moody(), holdout=0, n_jobs=1, duplicates="keep")
    uri = metamodel.log_model(result, code_paths=edge_children.__file__, report=False).model_uri
    with serve(uri, tmp_path_factory.mktemp("moody")) as running:
        yield running


@every_shape
def test_nan_and_infinity_of_a_child_come_as_null(moody_server: Server, shape: Shape) -> None:
    answers = answers_of(moody_server, *shape(pd.DataFrame({"store": [3, 2, 1], "x": [0.5, 0.5, 0.5]})))
    assert answers["prediction"].tolist() == [None, None, 5.0]
    assert answers["status"].tolist() == ["child"] * 3


@every_shape
def test_a_row_that_a_child_cannot_answer_takes_no_other_row_with_it(moody_server: Server, shape: Shape) -> None:
    answers = answers_of(moody_server, *shape(pd.DataFrame({"store": [1, 1, 2, 1], "x": [0.5, -0.5, 0.5, 0.5]})))
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
    with serve(metamodel.log_model(result, report=False).model_uri, tmp_path_factory.mktemp("texts")) as running:
        yield running


@every_shape
def test_keys_and_features_of_text_alone_are_read_as_they_were_sent(
    texts_server: Server, texts: pd.DataFrame, shape: Shape
) -> None:
    rows = texts.sample(frac=1, random_state=0)
    rows["day"] = rows["day"].map(str)
    answers = answers_of(texts_server, *shape(rows.drop(columns="by_hand")))
    assert set(answers["status"]) == {"child"}
    assert answers["prediction"].tolist() == rows["by_hand"].tolist()


@pytest.mark.parametrize("rows", [1, 2])
def test_columns_of_text_alone_are_as_many_rows_as_were_sent(
    texts_server: Server, texts: pd.DataFrame, rows: int
) -> None:
    frame = texts.head(rows).drop(columns="by_hand").astype({"day": str})
    assert len(answers_of(texts_server, *SHAPES["inputs of columns"](frame))) == rows


def test_dates_in_a_parquet_body_name_their_group(texts_server: Server, texts: pd.DataFrame) -> None:
    answers = answers_of(texts_server, *SHAPES["parquet"](texts.drop(columns="by_hand")))
    assert answers["prediction"].tolist() == texts["by_hand"].tolist()
