"""`metamodel inspect`: a model, its worst groups, one child, and damage by name."""

import re
import shutil
from pathlib import Path

import mlflow
import pytest
from command_line import run, strict
from sklearn.linear_model import Ridge


def test_inspect_shows_the_model_and_its_worst_groups(trained: str) -> None:
    result = run("inspect", trained, "--worst", "2")

    assert result.exit_code == 0
    assert "store (integer), product (string)" in result.stdout
    assert "worst_groups\n" in result.stdout
    assert "min_rows: 1 usable row, 2 needed" in result.stdout


def test_inspect_json_holds_numbers_and_nulls(trained: str) -> None:
    overview = strict(run("inspect", trained, "--json", "--worst", "3").stdout)
    child = strict(run("inspect", trained, "--json", "--group", '[90003, "P001"]').stdout)

    assert overview["groups"] == {"fitted": 7, "skipped": 2}
    assert len(overview["worst_groups"]) == 3
    worst = [row["holdout_rmse"] for row in overview["worst_groups"]]
    assert worst == sorted(worst, reverse=True)
    assert child["ledger"]["store"] == 90003
    assert child["ledger"]["rows"] == 30
    assert child["ledger"]["reason"] == "constant_target"
    assert child["ledger"]["holdout_r2"] is None  # a constant target has no R²
    assert child["child"] == "Ridge(random_state=0)"


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ('[7, "P001"]', r"No child model for group \(7, 'P001'\) \(7 known\)\. Train it"),
        ("[1]", r"The key \(1,\) has 1 value, but there are 2 group columns \(store, product\)"),
        ('["1", "P001"]', r"Group column 'store' holds integers; the str '1' is none\."),
    ],
)
def test_inspect_says_why_there_is_no_such_child(trained: str, group: str, message: str) -> None:
    result = run("inspect", trained, "--group", group)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.match(f"error: .*{message}", result.stderr)


@pytest.fixture
def bundle(trained_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(trained_bundle, tmp_path / "bundle"))


def test_inspect_verify_finds_a_sound_bundle_sound(bundle: Path) -> None:
    result = run("inspect", str(bundle), "--verify", "--json")

    assert result.exit_code == 0
    assert strict(result.stdout)["damaged_files"] == []


@pytest.mark.parametrize("name", ["shards/00000.sqlite", "ledger.parquet"])
def test_inspect_verify_names_a_damaged_file(bundle: Path, name: str) -> None:
    damaged = bundle / name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)

    result = run("inspect", str(bundle), "--verify")

    assert result.exit_code == 1
    assert re.fullmatch(rf"error: .*{re.escape(name)}.* Restore the bundle\.\n", result.stderr)


def test_inspect_verify_names_a_missing_file(bundle: Path) -> None:
    (bundle / "shards" / "00000.sqlite").unlink()

    result = run("inspect", str(bundle), "--verify")

    assert result.exit_code == 1
    assert "shards/00000.sqlite" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    mlflow.sklearn.save_model(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), "plain", pip_requirements=["scikit-learn"])

    result = run("inspect", "plain")

    assert result.exit_code == 2
    assert result.stderr.endswith(
        "error: plain is an MLflow model, but not one that metamodel logged. Load it with MLflow.\n"
    )
