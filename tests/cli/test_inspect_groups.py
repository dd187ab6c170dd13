"""`inspect` and `export` of one group, its key typed as people do, and tables without rows."""

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import metamodel
from metamodel.cli import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Airports: two with a child, one with a single row."""
    frame = pd.DataFrame(
        {"airport": ["ATL"] * 9 + ["DEN"] * 9 + ["NA"], "x": range(19), "y": [i % 5 for i in range(19)]}
    )
    path = tmp_path_factory.mktemp("airports") / "bundle"
    metamodel.train(frame, "airport", "y", n_jobs=1, output_dir=path)
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_a_group_of_one_text_column_is_named_without_quotes(bundle: str) -> None:
    result = run("inspect", bundle, "--group", "ATL", "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["ledger"]["airport"] == "ATL"
    assert facts["child"].startswith("Ridge")


def test_a_skipped_group_is_shown_with_the_row_that_says_why(bundle: str) -> None:
    result = run("inspect", bundle, "--group", "NA")
    assert result.exit_code == 0, result.stderr
    assert "min_rows: 1 usable row, 2 needed" in result.stdout
    assert result.stdout.endswith("child: none\n")


def test_a_misspelt_group_is_answered_with_the_nearest(bundle: str) -> None:
    result = run("inspect", bundle, "--group", "atl")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "Did you mean 'ATL'?" in result.stderr


def test_export_takes_the_same_key(bundle: str, tmp_path: Path) -> None:
    result = run("export", bundle, "--group", "DEN", "--output", str(tmp_path / "child"))
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "child" / "MLmodel").is_file()


def test_a_table_without_rows_is_none_and_no_python(tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": [1] * 9 + [2] * 9, "x": range(18), "y": [i % 5 for i in range(18)]})
    metamodel.train(frame, "g", "y", n_jobs=1, output_dir=tmp_path / "bundle")
    result = run("inspect", str(tmp_path / "bundle"), "--worst", "0")
    assert result.exit_code == 0, result.stderr
    assert "Empty DataFrame" not in result.stdout
    assert "worst_groups: none" in result.stdout
    assert "groups_without_child: none" in result.stdout
