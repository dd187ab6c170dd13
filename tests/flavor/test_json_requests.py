"""JSON bodies are read as they were sent: no value changes another row's answer."""

import json
from typing import Any

import mlflow.pyfunc.scoring_server as server
import numpy as np
import pandas as pd
import pytest
from echo_child import Echo
from mlflow.types import ColSpec, DataType, Schema

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.flavor.json_requests import read_json_body
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


@pytest.mark.parametrize("layout", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_a_text_or_a_missing_number_spoils_its_own_row_alone(scorer: Scorer, layout: str) -> None:
    rows: list[list[Any]] = [[ID, 1, 0.5], [ID, 1, "text"], [ID, 1, 0.5], ["text", 1, 0.5], [ID, 1, None]]
    found = answers(scorer, layout, rows)
    assert [answer["status"] for answer in found] == ["child", "failed", "child", "invalid_key", "child"]
    assert found[0] == found[2] == answers(scorer, layout, rows[:1])[0]


def test_the_body_of_another_models_signature_is_read_as_mlflow_reads_it(scorer: Scorer) -> None:
    other = Schema([ColSpec(DataType.string, "id"), ColSpec(DataType.double, "x")])
    sent = {"dataframe_split": {"columns": ["id", "x"], "data": [["a", 1], ["b", 2]]}}
    assert scorer.answer_by_mlflow(json.dumps(body("dataframe_split", ROWS)).encode(), "application/json").status == 200
    ours = server.infer_and_parse_data(sent, other)
    pd.testing.assert_frame_equal(ours, server.infer_and_parse_data.original(sent, other))  # type: ignore[attr-defined]
    assert ours["x"].dtype == "float64"


@pytest.mark.parametrize("sent", [{"inputs": {"id": ID, "x": 1.0}}, {"inputs": [1, 2]}, {"instances": {"id": [ID]}}])
def test_a_body_that_lays_out_no_rows_is_left_to_mlflow(sent: dict[str, Any]) -> None:
    def parse(_: Any) -> Any:
        raise AssertionError("not to be read here")

    assert read_json_body(sent, ["id"], parse) is None
