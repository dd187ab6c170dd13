"""``metamodel update``: what is not given is as the model was trained."""

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from weekly_panel import FEATURES, panel

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.cli import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "bundle"
    options = {"features": FEATURES, "time_column": "week", "holdout": 0.3, "n_jobs": 1}
    metamodel.train(panel(range(3)), ["country", "shop"], "sales", "ridge", output_dir=path, **options)
    return path


def test_a_weekly_job_is_one_line(bundle: Path, tmp_path: Path) -> None:
    panel([*range(3), 9], weeks=50).to_parquet(tmp_path / "week.parquet")
    pd.DataFrame({"country": ["FR"], "shop": [1]}).to_csv(tmp_path / "list.csv", index=False)
    words = ["update", str(bundle), "--data", str(tmp_path / "week.parquet"), "--max-age", "20w", "--json"]
    words += ["--retrain-list", str(tmp_path / "list.csv"), "--output-dir", str(tmp_path / "new")]
    run = CliRunner().invoke(main, words)
    assert run.exit_code == 0, run.stderr
    summary = json.loads(run.stdout)["summary"]
    figures = ("groups_retrained", "groups_retrained_listed", "groups_retrained_new", "groups_carried")
    assert {name: summary[name] for name in figures} == dict(zip(figures, (2, 1, 1, 2), strict=True))
    options = MetaModel(tmp_path / "new").manifest.options
    assert (options["holdout"], options["time_column"], options["target"]) == (0.3, "week", "sales")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["models:/nobody@champion", "--data", "sales"],
            "The model 'models:/nobody@champion' cannot be fetched",
        ),
        (["--data", "sales"], "Missing argument 'MODEL'"),
        (["BUNDLE", "--data", "sales"], "error: The table lacks group column 'shop'"),
    ],
)
def test_bad_input_is_one_line_and_code_2(bundle: Path, words: list[str], message: str) -> None:
    run = CliRunner().invoke(main, ["update", *[str(bundle) if word == "BUNDLE" else word for word in words]])
    assert (run.exit_code, message in run.stderr) == (2, True), run.stderr
    assert run.stderr.strip().count("\n") <= 3


def test_the_result_says_in_a_line_who_was_retrained_and_why(bundle: Path) -> None:
    result = metamodel.update(bundle, panel([*range(1, 3), 9]))
    line = "update            1 group retrained (1 new), 3 carried as they were"
    assert line in str(result).splitlines()
    assert "4 groups by country, shop: 1 fitted, 3 carried, 0 skipped, 0 failed" in repr(result)
