"""`metamodel report`: the page of a run, whatever names the model."""

import re
from pathlib import Path

import mlflow
import pytest
from command_line import run, strict
from mlflow import MlflowClient

import metamodel


@pytest.mark.parametrize("form", ["alias", "model id", "run", "run id", "bundle"])
def test_report_is_the_page_of_the_run_whatever_names_the_model(
    trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    version = MlflowClient().get_model_version_by_alias("trained", "champion")
    forms = {
        "alias": trained,
        "model id": version.source,
        "run": f"runs:/{version.run_id}",
        "run id": version.run_id,
        "bundle": str(metamodel.load_model(trained).bundle.path),
    }
    result = run("report", forms[form], "--output", "page.html", "--json")

    page = Path("page.html").read_text(encoding="utf-8")
    assert strict(result.stdout) == {"output": "page.html", "bytes": len(page.encode())}
    assert page == mlflow.artifacts.load_text(f"runs:/{version.run_id}/report.html")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("0" * 32, "There is no run '0+' at "),
        ("models:/nobody@champion", "cannot be fetched"),
        ("nowhere", "There is no model at 'nowhere'"),
    ],
)
def test_report_says_in_one_line_what_cannot_be_shown(model: str, message: str, tmp_path: Path) -> None:
    result = run("report", model, "--output", str(tmp_path / "page.html"))

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert re.search(message, result.stderr)


def test_report_needs_a_run_with_a_model(tmp_path: Path) -> None:
    with mlflow.start_run() as empty:
        pass
    result = run("report", empty.info.run_id, "--output", str(tmp_path / "page.html"))

    assert result.exit_code == 2
    assert "logged no model" in result.stderr
