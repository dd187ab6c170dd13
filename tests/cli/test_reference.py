"""`metamodel reference`: children that lie elsewhere become one model; what cannot be referred to is one line."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from command_line import run, strict
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

import metamodel

ROLES = ["--group-by", "store", "--target", "y"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--children", "nowhere.csv"], "nowhere.csv"),
        (["--children", "children.csv"], "lacks"),
        ([], "--search"),
    ],
)
def test_reference_says_in_one_line_what_it_cannot_refer_to(folder: Path, options: list[str], message: str) -> None:
    Path("children.csv").write_text("store,product,model\n1,P001,models:/a/1\n")
    result = run("reference", "--example", "sales.csv", "--group-by", "store,product", *options)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert message in result.stderr
    assert result.stdout == ""


def test_reference_needs_rows_as_callers_send_them(folder: Path) -> None:
    result = run("reference", "--children", "children.csv", "--group-by", "store")

    assert result.exit_code == 2
    assert "Missing option '--example'" in result.stderr


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The rows of two stores; each store's child is a model in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"store": np.repeat([1, 2], 5), "x": np.arange(10.0)}).assign(
        y=lambda frame: frame["x"] * frame["store"]
    )
    for store, part in table.groupby("store"):
        child = LinearRegression().fit(part[["x"]], part["y"])
        signature = infer_signature(part[["x"]], part["y"])
        mlflow.sklearn.save_model(
            child, f"child-{store}", signature=signature, pip_requirements=["scikit-learn"], skops_trusted_types=None
        )
    table.to_csv("rows.csv", index=False)
    return table


def test_children_in_directories_become_one_registered_model_that_answers_as_they_do(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    children = ["--children", f"{tmp_path}/child-{{store}}", "--root", str(tmp_path)]
    known = ["--rate", "7", "--deadline", "3", "--refresh", "60", "--register", "of-directories", "--alias", "now"]
    result = run("reference", *children, "--example", "rows.csv", *ROLES, *known, "--json")

    assert result.exit_code == 0, result.stderr
    facts = strict(result.stdout)
    assert facts["version"] == 1
    model = metamodel.load_model("models:/of-directories@now")
    answers = model.predict(rows)
    assert answers["status"].tolist() == ["child"] * 10
    np.testing.assert_allclose(answers["prediction"].astype(float), rows["y"], rtol=1e-9, atol=1e-9)
    settings = model.bundle.references.settings
    assert (settings.requests_per_second, settings.deadline_seconds, settings.refresh_seconds) == (7, 3, 60)
    assert settings.roots == (str(tmp_path),)


def test_a_directory_outside_the_roots_is_refused_in_one_line(rows: pd.DataFrame, tmp_path: Path) -> None:
    result = run("reference", "--children", f"{tmp_path}/child-{{store}}", "--example", "rows.csv", *ROLES)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "2 of 2 references cannot be used" in result.stderr
    assert "outside the allowed roots" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--children", "models:/a-{store}", "--rate", "0"], "requests_per_second=0.0 is no positive number."),
        (["--children", "models:/a-{store}", "--refresh", "-1"], "refresh_seconds=-1.0 is no positive number."),
        (["--children", "models:/a-{store}", "--unknown", "guess"], "unknown='guess' is unknown. Use one of"),
        (["--children", "models:/a-{shop}"], "shop"),
        (["--children", "nowhere.csv"], "There is no file or folder 'nowhere.csv'."),
    ],
)
def test_what_cannot_be_referred_to_is_one_line(rows: pd.DataFrame, options: list[str], message: str) -> None:
    result = run("reference", *options, "--example", "rows.csv", *ROLES)

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr
