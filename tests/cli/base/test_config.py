"""Files of options: the command line wins, every mistake is one line, and what was used can be used again."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from sklearn.linear_model import Ridge

import metamodel
from metamodel.cli import main
from metamodel.datasets import make_store_sales

TABLE = {"data": "sales.parquet", "group_by": ["store", "product"], "target": "units"}

CONFIG = {
    "table": TABLE,
    "features": ["price", "promotion", "trend"],
    "judging": {"time_column": "week", "split": "rolling:folds=2,horizon=3"},
    "answers": {"shrinkage": "constant", "shrinkage_params": {"alpha": 0.2}},
    "n-jobs": 1,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a table and a file of options for it."""
    monkeypatch.chdir(tmp_path)
    make_store_sales(n_stores=2, n_products=1, n_weeks=30, broken=False).to_parquet("sales.parquet")
    Path("sales.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="metamodel", catch_exceptions=False)


def shown(*arguments: str) -> dict[str, object]:
    """What a command would use, the groups of its options taken apart."""
    result = run(*arguments, "--print-config")
    assert result.exit_code == 0, result.stderr
    flat: dict[str, object] = {}
    for key, value in yaml.safe_load(result.stdout).items():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat


# What a file gives


@pytest.mark.parametrize("name", ["sales.yaml", "sales.json"])
def test_a_file_gives_options_flat_or_in_groups_in_yaml_or_json(folder: Path, name: str) -> None:
    Path("sales.json").write_text(json.dumps(CONFIG))
    used = shown("train", "--config", name)

    assert used["data"] == "sales.parquet"
    assert used["group_by"] == ["store", "product"]
    assert used["split"] == "rolling:folds=2,horizon=3"
    assert used["shrinkage_params"] == {"alpha": 0.2}
    assert used["n_jobs"] == 1
    assert used["trials"] == 30  # nobody's but the default


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(folder: Path) -> None:
    Path("more.yaml").write_text("prune: true\nstack: false\nholdout: 0.3\nmin_rows: 5\ntime_column: week\n")
    needed = ["--data", "sales.parquet", "--group-by", "store", "--target", "units"]

    used = shown("train", "--config", "more.yaml", *needed, "--no-prune", "--holdout", "0.1", "--min-rows", "")
    assert (used["prune"], used["stack"], used["holdout"]) == (False, False, 0.1)
    assert used["min_rows"] == 5  # an empty value is not given
    assert "time_column" not in shown("train", "--config", "more.yaml", *needed, "--time-column", "")


def test_yaml_null_is_the_policy_of_that_name_and_otherwise_not_given(folder: Path) -> None:
    Path("more.yaml").write_text("unknown: null\npredict_method: null\ndata: x\nmodel: m\noutput: o.csv\n")
    assert shown("score", "--config", "more.yaml")["unknown"] == "null"
    assert "unknown" not in shown("score", "--data", "x", "--model", "m", "--output", "o.csv")


def test_a_space_and_exceptions_may_stand_in_the_file_itself(folder: Path) -> None:
    rows = [{"store": 1, "product": "P001", "skip": True}]
    Path("more.yaml").write_text(yaml.safe_dump({"tune": {"ridge": {"alpha": [0.1, 1.0]}}, "overrides": rows}))
    used = shown("train", "--config", "sales.yaml")
    Path("both.yaml").write_text(Path("sales.yaml").read_text() + Path("more.yaml").read_text())
    both = shown("train", "--config", "both.yaml")

    assert both == used | {"tune": {"ridge": {"alpha": [0.1, 1.0]}}, "overrides": rows}


@pytest.mark.parametrize(
    ("command", "content", "expected"),
    [
        ("score", {"data": "a", "model": "m", "output": "o.csv", "detail": True}, {"detail": True}),
        ("serve", {"model": "m", "max_rows": 5, "timeout": 2.5}, {"model": "m", "max_rows": 5, "timeout": 2.5}),
        ("pack", {"model": "m", "vendor": True, "zip": "m.zip"}, {"vendor": True, "zip": "m.zip"}),
        (
            "reference",
            {"children": "c", "example": "e", "group_by": "a,b", "root": ["/x", "/y"], "pin": True},
            {"group_by": ["a", "b"], "root": ["/x", "/y"], "pin": True},
        ),
    ],
)
def test_every_command_with_more_than_five_options_takes_a_file(
    folder: Path, command: str, content: dict[str, object], expected: dict[str, object]
) -> None:
    Path("more.yaml").write_text(yaml.safe_dump(content))
    assert expected.items() <= shown(command, "--config", "more.yaml").items()


def test_commands_with_more_than_five_options_are_those_that_take_a_file() -> None:
    for name, command in main.commands.items():
        options = {one.name for one in command.params} - {"print_config", "config"}
        assert ("config" in {one.name for one in command.params}) == (len(options) > 5), name


# What is wrong with a file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails: 5", "more.yaml: There is no option 'trails'. Did you mean 'trials'?"),
        ("tuning: {trails: 5}", "more.yaml: There is no option 'trails'. Did you mean 'trials'?"),
        ("jugding: {holdout: 0.1}", "more.yaml: There is no option 'jugding'. Did you mean 'judging'?"),
        ("port: 8080", "more.yaml: 'port' is an option of `metamodel serve`, not of `metamodel train`. Take it out."),
        ("trials: many", "more.yaml: trials: 'many' is no whole number."),
        ("trials: true", "more.yaml: trials: True is no whole number."),
        ("trials: [5]", "more.yaml: trials: [5] is no whole number."),
        ("holdout: [0.1]", "more.yaml: holdout: [0.1] is no number."),
        ("target: [units]", "more.yaml: target: ['units'] is no text; write it in quotation marks."),
        ("target: 7", "more.yaml: target: 7 is no text; write it in quotation marks."),
        ("group_by: 7", "more.yaml: group_by: 7 is no list of names."),
        ("estimator: {a: 1}", "more.yaml: estimator: {'a': 1} is neither a text nor a list of texts."),
        ("shrinkage_params: 0.3", "more.yaml: shrinkage_params: 0.3 is no JSON object."),
        ("prune: 7", "more.yaml: prune: 7 is neither true, false nor auto."),
        ("stack: 7", "more.yaml: stack: 7 is neither true nor false."),
        ("tuning: 7", "more.yaml: 'tuning' is a group of options, so 7 cannot be its value."),
        ("trials: 5\ntuning: {trials: 6}", "more.yaml: 'trials' stands twice. Keep one of both."),
        ("trials: 5\ntrials: 6", "The file of options 'more.yaml' is malformed ('trials' stands twice in"),
        ("[1, 2]", "The file of options 'more.yaml' holds no mapping from options to values. Correct it."),
        ("a: [", "The file of options 'more.yaml' is malformed ("),
        ("a: " + "[" * 1000, "The file of options 'more.yaml' is malformed ("),
        (
            "objects: {data: DataFrame}",
            "more.yaml does not hold data, which was an object in Python (DataFrame). Give --data beside --config.",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_clear_line(folder: Path, text: str, message: str) -> None:
    Path("more.yaml").write_text(text)
    needed = {"--data": "sales.parquet", "--group-by": "store", "--target": "units"}
    # What the command line gives, the file need not give rightly.
    given = [w for pair in needed.items() if pair[0][2:].replace("-", "_") not in text for w in pair]
    result = run("train", "--config", "more.yaml", *given)

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"error: {message}")
    assert "`metamodel train --help` says what there is." in result.stderr


def test_a_file_that_is_not_there_is_one_clear_line(folder: Path) -> None:
    result = run("train", "--config", "nowhere.yaml")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: The file of options 'nowhere.yaml' cannot be read: No such file")


def test_a_wrong_value_of_the_command_line_is_not_laid_at_the_file(folder: Path) -> None:
    result = run("train", "--config", "sales.yaml", "--trials", "many")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: Invalid value for '--trials': 'many' is no whole number.")


@pytest.mark.parametrize("missing", ["data", "group_by", "target"])
def test_what_neither_file_nor_command_line_gives_is_missing(folder: Path, missing: str) -> None:
    given = {name: value for name, value in TABLE.items() if name != missing}
    Path("more.yaml").write_text(yaml.safe_dump(given))
    option = f"--{missing.replace('_', '-')}"

    for empty in ([], [option, ""]):
        result = run("train", "--config", "more.yaml", *empty)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: Missing option '{option}'.")


# What was used can be used again


def test_nothing_is_trained_where_the_options_are_only_printed(folder: Path) -> None:
    before = set(folder.iterdir())
    shown("train", "--config", "sales.yaml", "--output-dir", "bundle")
    assert set(folder.iterdir()) == before


def test_what_is_printed_is_a_file_that_says_the_same(folder: Path) -> None:
    first = run("train", "--config", "sales.yaml", "--tune", "auto", "--print-config").stdout
    Path("again.yaml").write_text(first)
    assert run("train", "--config", "again.yaml", "--print-config").stdout == first


def ledger_of(run_id: str) -> pd.DataFrame:
    path = MlflowClient().download_artifacts(run_id, "ledger.parquet")
    return pd.read_parquet(path).drop(columns=["seconds", "trained_at"])


def test_the_artifact_of_a_run_repeats_it(folder: Path) -> None:
    first = run("train", "--config", "sales.yaml", "--estimator", "ridge,decision_tree", "--register", "r", "--json")
    assert first.exit_code == 0, first.stderr
    run_id = json.loads(first.stdout)["run_id"]
    Path("again.yaml").write_text(load_text(f"runs:/{run_id}/config.yaml"))
    second = run("train", "--config", "again.yaml", "--json")

    facts = json.loads(second.stdout)
    assert facts["run_id"] != run_id
    assert facts["version"] == "2"
    pd.testing.assert_frame_equal(ledger_of(run_id), ledger_of(facts["run_id"]))
    assert load_text(f"runs:/{facts['run_id']}/config.yaml") == load_text(f"runs:/{run_id}/config.yaml")


def test_the_artifact_of_a_training_in_python_names_what_only_python_can_give(folder: Path) -> None:
    result = metamodel.train(
        pd.read_parquet("sales.parquet"),
        ["store", "product"],
        "units",
        Ridge(alpha=2.0),
        features=["price", "trend"],
        split=metamodel.Rolling(folds=2, horizon=3),
        time_column="week",
        n_jobs=1,
    )
    info = metamodel.log_model(result, report=False)
    Path("again.yaml").write_text(load_text(f"runs:/{info.run_id}/config.yaml"))

    held = yaml.safe_load(Path("again.yaml").read_text())
    assert held["objects"] == {"data": "DataFrame", "estimator": "Ridge(alpha=2.0)"}
    assert held["judging"]["split"] == "rolling:folds=2,horizon=3,step=3"
    refused = run("train", "--config", "again.yaml", "--data", "sales.parquet")
    assert refused.exit_code == 2
    assert "does not hold estimator, which was an object in Python (Ridge(alpha=2.0)). Give --estimator" in (
        refused.stderr
    )
    given = ["--data", "sales.parquet", "--estimator", "ridge", "--estimator-params", '{"alpha": 2.0}']
    again = run("train", "--config", "again.yaml", *given, "--json")
    facts = json.loads(again.stdout)
    # The candidate has another name, and nothing else.
    assert ledger_of(info.run_id)["sha256"].tolist() == ledger_of(facts["run_id"])["sha256"].tolist()
