"""What MLflow's scoring server reads and refuses once a meta-model has taken it over."""

import copy
import io
import json
import pickle
from pathlib import Path
from typing import Any

import mlflow.pyfunc.scoring_server as server
import pandas as pd
import pytest
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.types import ColSpec, DataType, Schema

import metamodel
from metamodel.flavor.scoring_server import PublicError, take_over_server


# -------- errors
def test_a_public_error_keeps_its_message_whatever_mlflow_puts_in_front_of_it() -> None:
    error = PublicError("The table lacks a column.", INVALID_PARAMETER_VALUE)
    error.message = f"Failed to predict data 'secret rows'. \nError: {error.message}"
    assert error.message == str(error) == "The table lacks a column."
    assert "secret" not in error.serialize_as_json()


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_a_public_error_survives_pickling(again: Any) -> None:
    error = again(PublicError("The table lacks a column.", INVALID_PARAMETER_VALUE))
    error.message = "other words"
    assert type(error) is PublicError
    assert (error.message, str(error)) == ("The table lacks a column.",) * 2
    assert (error.error_code, error.get_http_status_code()) == ("INVALID_PARAMETER_VALUE", 400)


def test_a_public_error_without_a_code_is_the_servers_fault() -> None:
    assert PublicError("The bundle is damaged.").get_http_status_code() == 500


# -------- CSV
@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> metamodel.TrainingResult:
    """A training whose keys are texts that look like numbers, in a process that has loaded MLflow's server."""
    for name in ("parse_csv_input", "invocations"):
        monkeypatch.setattr(server, name, getattr(server, name))
    table = pd.DataFrame({"store": ["007", "007", "08", "08"], "x": [0.0, 1, 0, 1], "y": [1.0, 2, 5, 6]})
    return metamodel.train(table, "store", "y", "linear_regression", holdout=0, n_jobs=1)


def test_mlflow_models_predict_reads_text_keys_that_look_like_numbers(
    trained: metamodel.TrainingResult, tmp_path: Path
) -> None:
    uri = metamodel.log_model(trained, report=False).model_uri
    (tmp_path / "rows.csv").write_text("store,x\n007,1\n08,0\n7,0\n", encoding="utf-8")
    server._predict(uri, str(tmp_path / "rows.csv"), str(tmp_path / "answers.json"), "csv")
    answers = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))["predictions"]
    assert [row["status"] for row in answers] == ["child", "child", "unknown_group"]
    assert [row["prediction"] for row in answers[:2]] == pytest.approx([2.0, 5.0])


def test_the_csv_of_a_model_with_a_plain_signature_is_read_as_mlflow_reads_it(
    trained: metamodel.TrainingResult,
) -> None:
    take_over_server(trained.manifest)
    schema = Schema([ColSpec(DataType.string, "store"), ColSpec(DataType.double, "x")])
    frame = server.parse_csv_input(io.StringIO("store,x\nNA,1\n"), schema)
    assert frame["store"].isna().tolist() == [True]  # with a key schema NA would be a text


@pytest.mark.parametrize("body", ["", "store,store\n1,2\n", "store,x\n1,2\nsecret,3,4\n"])
def test_a_csv_body_that_cannot_be_read_is_not_quoted(trained: metamodel.TrainingResult, body: str) -> None:
    take_over_server(trained.manifest)
    with pytest.raises(PublicError, match=r"^The body ") as caught:
        server.parse_csv_input(io.StringIO(body), None)
    assert "secret" not in caught.value.message


def test_of_a_wide_csv_body_only_the_columns_of_the_model_are_parsed(
    trained: metamodel.TrainingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over_server(trained.manifest, logged_names={"ticket": "integer"})
    read_csv, parsed = pd.read_csv, []

    def counted(*args: Any, **kwargs: Any) -> pd.DataFrame:
        frame = read_csv(*args, **kwargs)
        parsed.append(list(frame.columns))
        return frame

    monkeypatch.setattr(pd, "read_csv", counted)
    others = [f"c{i}" for i in range(20_000)]
    header = ",".join(["ticket", *others, "x", "store"])
    frame = server.parse_csv_input(io.StringIO(f"{header}\n{','.join(['t1', *others, '1.5', '007'])}\n"), None)
    assert parsed == [["ticket", "x", "store"]]
    assert frame.to_dict("records") == [{"ticket": "t1", "x": 1.5, "store": "007"}]


@pytest.mark.parametrize("line", ["007,1,a,b", "0,07,1,b,c"])
def test_a_line_that_is_longer_than_its_header_is_refused_beside_columns_that_are_not_read(
    trained: metamodel.TrainingResult, line: str
) -> None:
    take_over_server(trained.manifest)
    with pytest.raises(PublicError, match=r"^A line of the body has more fields than its header"):
        server.parse_csv_input(io.StringIO(f"store,x,other\n007,1,a\n{line}\n"), None)


@pytest.mark.parametrize("start", ["007,1,2\n008,3,4\n", "0,1,2\n1,3,4\n", "\n \n007,1,2\n", "007,1,\n008,3\n"])
def test_lines_that_are_one_longer_than_the_header_are_refused_and_not_shifted(
    trained: metamodel.TrainingResult, start: str
) -> None:
    take_over_server(trained.manifest)
    with pytest.raises(PublicError, match=r"^A line of the body has more fields than its header"):
        server.parse_csv_input(io.StringIO(f"store,x\n{start}"), None)


def test_a_later_line_that_is_longer_is_refused_too(trained: metamodel.TrainingResult) -> None:
    take_over_server(trained.manifest)
    with pytest.raises(PublicError, match=r"^The body is no CSV table with a header line"):
        server.parse_csv_input(io.StringIO("store,x\n007,1\n008,3,4\n"), None)


@pytest.mark.parametrize("start", ["", "\n", " \n\r\n", "\ufeff"])
def test_the_header_is_the_first_line_that_is_not_blank(trained: metamodel.TrainingResult, start: str) -> None:
    take_over_server(trained.manifest)
    frame = server.parse_csv_input(io.StringIO(f'{start}"store",other,x\r\n007,a,1\r\n', newline=""), None)
    assert frame.to_dict("records") == [{"store": "007", "x": 1.0}]


def test_an_id_of_csv_stays_as_it_is_written_and_an_entity_is_the_number_that_json_sends(
    trained: metamodel.TrainingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over_server(trained.manifest, logged_names={"row_id": "text", "customer": "integer"})
    body = "store,x,row_id,customer\n007,1,007,007\n007,1,8,c-1\n007,1,,\n"
    frame = server.parse_csv_input(io.StringIO(body), None)
    assert frame["row_id"].tolist()[:2] == ["007", "8"]
    assert frame["customer"].tolist()[:2] == [7, "c-1"]
    assert all(pd.isna(value) or value == "" for value in frame.loc[2, ["row_id", "customer"]])
