"""A model with a log answers as one without, whoever asks; the log knows which model and version it was."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from logged_rows import rows_in
from rolled_out import panel, visitors
from serving import sales

import metamodel
from metamodel.evaluation.drift.window_counts import ROWS
from metamodel.exceptions import InputError
from metamodel.prediction_log.log_counts import read_log_counts
from metamodel.prediction_log.process_log import close_logs


@pytest.fixture(scope="module")
def model_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    options: dict[str, Any] = {"holdout": 0.2, "n_jobs": 1, "output_dir": tmp_path_factory.mktemp("log") / "bundle"}
    result = metamodel.train(sales(), ["country", "store"], "sales", "decision_tree", **options)
    return metamodel.log_model(result, report=False).model_uri


def test_a_pyfunc_logs_what_it_answers_in_any_process_and_answers_the_same(
    model_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sales().assign(row_id=range(120)).sample(frac=1, random_state=0)
    expected = mlflow.pyfunc.load_model(model_uri).predict(table)
    monkeypatch.setenv("METAMODEL_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("METAMODEL_LOG_FEATURES", "all")
    logging_model = mlflow.pyfunc.load_model(model_uri)
    pd.testing.assert_frame_equal(logging_model.predict(table), expected)
    detailed = logging_model.predict(table, params={"detail": True})
    close_logs()
    rows = rows_in(tmp_path / "log")
    assert len(rows) == 240
    logged = rows.iloc[:120].set_index("row_id")
    assert set(rows["model"]) == {model_uri.removeprefix("models:/")}
    assert logged["prediction"].tolist() == expected["prediction"].tolist()
    assert logged["key"].tolist() == detailed["key"].tolist()
    assert logged["child_version"].tolist() == detailed["child_version"].tolist()
    assert logged["feature_colour"].tolist() == table["colour"].tolist()
    assert logged.index.tolist() == table["row_id"].astype(str).tolist()


def test_unless_told_otherwise_features_are_counted_and_where_they_cannot_be_one_line_says_so(
    model_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("METAMODEL_LOG", str(tmp_path / "counted"))
    mlflow.pyfunc.load_model(model_uri).predict(sales())
    options: dict[str, Any] = {"holdout": 0, "n_jobs": 1, "output_dir": tmp_path / "bundle", "reference": False}
    result = metamodel.train(sales(), ["country", "store"], "sales", "decision_tree", **options)
    without = metamodel.log_model(result, report=False).model_uri
    assert "reference" not in caplog.text
    monkeypatch.setenv("METAMODEL_LOG", str(tmp_path / "bare"))
    mlflow.pyfunc.load_model(without).predict(sales())
    close_logs()
    ((_, counts),) = read_log_counts(tmp_path / "counted")
    assert counts.totals[:, ROWS].sum() == len(rows_in(tmp_path / "bare")) == 120
    assert not [name for name in rows_in(tmp_path / "counted") if name.startswith("feature_")]
    assert list(read_log_counts(tmp_path / "bare")) == []
    said = [record.message for record in caplog.records if record.name == "metamodel.flavor.answer_log"]
    assert ["was trained without a reference, so that no feature is counted" in line for line in said] == [True]


def test_settings_that_cannot_be_are_refused_when_the_model_is_loaded(
    model_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAMODEL_LOG", str(tmp_path))
    monkeypatch.setenv("METAMODEL_LOG_DROP", "color")
    with pytest.raises(InputError, match=r"log_drop=color is neither .* Did you mean 'colour'"):
        mlflow.pyfunc.load_model(model_uri)


def test_a_folder_that_cannot_be_made_costs_rows_and_no_answer(
    model_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("METAMODEL_LOG", str(tmp_path / "file" / "log"))
    assert len(mlflow.pyfunc.load_model(model_uri).predict(sales())) == 120


def test_a_control_group_is_part_of_the_logged_model_and_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"unknown": "fallback", "pooled": False, "explore": 0.3, "explore_entity": "customer"}
    result = metamodel.train(
        panel().assign(customer="c"), "shop", "y", "ridge", output_dir=tmp_path / "model", n_jobs=1, **options
    )
    logged = metamodel.log_model(result, report=False)
    columns = [column.name for column in logged.signature.inputs]
    assert columns == ["shop", "x", "z", "customer"]
    assert [column.name for column in logged.signature.outputs] == ["prediction", "status", "variant"]
    monkeypatch.setenv("METAMODEL_LOG", str(tmp_path / "log"))
    frame = visitors()
    answers = mlflow.pyfunc.load_model(logged.model_uri).predict(frame)
    assert {"control", "treated"} == set(answers["variant"])
    close_logs()
    rows = rows_in(tmp_path / "log")
    assert rows["variant"].value_counts().to_dict() == answers["variant"].value_counts().to_dict()
    monkeypatch.delenv("METAMODEL_LOG")
    alone = mlflow.pyfunc.load_model(logged.model_uri, model_config={"explore": 0})
    assert alone.predict(frame).columns.tolist() == ["prediction", "status"]
