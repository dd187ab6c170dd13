"""Large ids in JSON bodies route their rows, whatever stands beside them."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from echo_child import Echo

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.serving.scorer import Scorer

ID = 2**60

ROWS: list[list[Any]] = [[ID, ID + 1, 1.0], [None, 3, 2.0], [ID + 1, None, 2.0], [ID + 1, ID + 2, 0.5], [0.5, ID, 0.5]]

COLUMNS = ["id", "code", "x"]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    ids = np.arange(24) % 2 + ID
    frame = pd.DataFrame({"id": ids, "code": np.arange(24) + ID, "x": np.arange(24) % 7 / 2, "y": np.arange(24.0)})
    folder = tmp_path_factory.mktemp("ids") / "bundle"
    return Scorer(MetaModel(metamodel.train(frame, "id", "y", Echo(), n_jobs=1, output_dir=folder).bundle_path), 1000)


def body(layout: str, rows: list[list[Any]]) -> dict[str, Any]:
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}
    tables: dict[str, Any] = {"dataframe_split": {"columns": COLUMNS, "data": rows}, "dataframe_records": records}
    tables |= {"instances": records, "inputs": columns}
    return {layout: tables[layout]}


def answers(scorer: Scorer, layout: str, rows: list[list[Any]]) -> list[Any]:
    reply = scorer.answer_by_mlflow(json.dumps(body(layout, rows)).encode(), "application/json")
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["predictions"]


@pytest.mark.parametrize("layout", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_a_large_id_beside_a_null_or_a_fraction_is_answered_as_alone(scorer: Scorer, layout: str) -> None:
    alone = [answers(scorer, layout, [row])[0] for row in ROWS]
    assert [answer["status"] for answer in alone] == ["child", "invalid_key", "child", "child", "invalid_key"]
    assert answers(scorer, layout, ROWS) == alone
    assert len({answer["prediction"] for answer in alone if answer["prediction"]}) == 3


def test_a_large_id_beside_an_empty_field_of_a_csv_body_is_answered_as_alone(scorer: Scorer) -> None:
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in ROWS]
    text = "\n".join(["id,code,x", *lines])
    reply = scorer.answer_by_mlflow(text.encode(), "text/csv")
    assert json.loads(reply.body)["predictions"] == answers(scorer, "dataframe_split", ROWS)
