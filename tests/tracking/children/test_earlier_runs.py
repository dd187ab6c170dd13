"""An earlier attempt that left a run behind is named."""

from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import metamodel


def test_a_new_run_names_the_one_that_an_earlier_attempt_has_left(
    sales: metamodel.TrainingResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(*_: Any) -> None:
        raise RuntimeError("broken off")

    def said() -> str:
        with mlflow.start_run():
            metamodel.log_model(sales, log_children="runs", report=False)
        return capsys.readouterr().err

    with monkeypatch.context() as patch, mlflow.start_run() as left:
        patch.setattr("metamodel.tracking.children.log_groups", broken_off)
        with pytest.raises(RuntimeError, match="broken off"):
            metamodel.log_model(sales, log_children="runs", report=False)
    MlflowClient().set_terminated(left.info.run_id, "FAILED")
    assert f"run {left.info.run_id} of the same training did not end (FAILED)" in said()
    MlflowClient().set_terminated(left.info.run_id, "FINISHED")
    assert "did not end" not in said()


def test_who_may_not_search_runs_may_log(
    sales: metamodel.TrainingResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise MlflowException("no right to search")

    monkeypatch.setattr("metamodel.tracking.children.log_groups", lambda *_: None)
    monkeypatch.setattr(MlflowClient, "search_runs", refused)
    with mlflow.start_run():
        metamodel.log_model(sales, log_children="runs", report=False)
    assert "whether an earlier attempt has left a run cannot be told (" in capsys.readouterr().err
