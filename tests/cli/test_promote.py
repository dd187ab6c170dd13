"""`metamodel promote`, `rollback` and `versions`: what they say, and how they end."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from command_line import run, strict
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

import metamodel

ROLLBACK = ("rollback", "NAME", "--version", "2")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three versions: the second has lost a group and has a new one, the third is the second with other options."""
    table = metamodel.datasets.make_store_sales(4, 1, 30, broken=False)
    name = "three-versions"
    stores = ((1, 2, 3), (2, 3, 4), (2, 3, 4))
    for number, (kept, alpha) in enumerate(zip(stores, (1.0, 1.0, 9.0), strict=True)):
        rows: pd.DataFrame = table[table["store"].isin(kept)]
        rows = rows if number else rows[rows["store"].ne(3) | rows["trend"].gt(0.2)]
        rows = pd.concat([rows, table[table["store"].eq(1)].head(1)]) if number else rows
        result = metamodel.train(
            rows,
            ["store"],
            "units",
            "ridge",
            {"alpha": alpha},
            features=["price", "promotion"],
            n_jobs=1,
            output_dir=tmp_path_factory.mktemp("three") / "bundle",
        )
        metamodel.log_model(result, registered_model_name=name, report=False)
    return name


@pytest.fixture
def name(three: str) -> Iterator[str]:
    yield three
    client = MlflowClient()
    for alias in client.get_registered_model(three).aliases:
        client.delete_registered_model_alias(three, alias)


def test_promote_and_roll_back_say_what_was_moved_and_versions_shows_who_did(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    said = [
        run("promote", name, "1").stdout,
        run("promote", name, "2", "--expect", "1", "--approved-by", "bob", "--note", "week 48").stdout,
        run("rollback", name).stdout,
    ]
    assert said == [
        f"{name} 1 is champion now.\n",
        f"{name} 2 is champion now, which replaces version 1.\n",
        f"{name} 1 is champion now, which replaces version 2.\n",
    ]
    assert "is champion already, since" in run("promote", name, "1").stdout

    shown = strict(run("versions", name, "--json").stdout)
    assert [(row["version"], row["aliases"], row["approved_by"]) for row in shown["versions"]] == [
        (3, "", ""),
        (2, "", "bob"),
        (1, "champion", ""),
    ]
    assert [(event["kind"], event["version"], event["by"], event["note"]) for event in shown["events"]] == [
        ("rollback", "1", "ann", ""),
        ("promote", "2", "ann", "week 48"),
        ("promote", "1", "ann", ""),
    ]
    text = run("versions", name).stdout
    assert "week 48" in text
    assert "group_version" not in text
    assert "by other means" not in text


def test_versions_says_which_aliases_no_event_tells_of(name: str) -> None:
    MlflowClient().set_registered_model_alias(name, "staging", "2")  # as `update --alias` does without a history
    assert "set by other means than metamodel promote: staging" in run("versions", name).stdout


def test_versions_tells_what_differs_between_two(name: str) -> None:
    found = strict(run("versions", name, "--diff", "1", "2", "--json").stdout)
    assert found["counts"] == {"new": 1, "retrained": 1, "kept": 1, "lost": 1}
    assert [(row["group"], row["change"]) for row in found["groups"]] == [
        ("1", "lost"),
        ("4", "new"),
        ("3", "retrained"),
    ]
    assert found["groups"][0]["after"] == "skipped"
    assert "row" in found["groups"][0]["reason"]
    assert found["options"] == []
    medians = {row["metric"]: row for row in found["metrics"]}
    assert medians["holdout_rmse_median"]["before"] > 0

    found = strict(run("versions", name, "--diff", "2", "3", "--json").stdout)
    assert found["counts"] == {"new": 0, "retrained": 3, "kept": 0, "lost": 0}
    assert [row["option"] for row in found["options"]] == ["candidate ridge"]
    assert "9.0" in found["options"][0]["after"]
    assert "retrained" in run("versions", name, "--diff", "2", "3").stdout


def test_versions_says_how_many_more_there_are_than_it_shows(name: str) -> None:
    text = run("versions", name, "--diff", "1", "2", "--last", "1").stdout
    groups = text.split("\n\n")[1].splitlines()
    assert groups[2].split()[:4] == ["1", "lost", "fitted", "skipped"]
    assert groups[3] == "... and 2 more; --last 3 shows all"
    assert "... and 1 more; --last 3 shows all" in run("versions", name, "--last", "2").stdout.split("\n\n")[0]
    assert "more; --last" not in run("versions", name, "--last", "3").stdout.split("\n\n")[0]


def test_require_gate_ends_with_code_3(name: str) -> None:
    result = run("promote", name, "2", "--require-gate")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (3, "", 1)
    assert "has passed no gate" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("promote", "NAME", "9"), "has no version 9"),
        (("promote", "NAME", "two"), "is no whole number"),
        (("rollback", "NAME"), "has no alias 'champion' (it has none)"),
        (("versions", "NAME", "--diff", "1", "9"), "has no version 9"),
        (("versions", "nobody"), "There is no registered model 'nobody'"),
    ],
)
def test_bad_input_is_one_line(name: str, arguments: tuple[str, ...], message: str) -> None:
    result = run(*(name if word == "NAME" else word for word in arguments))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert message in result.stderr


def test_promote_takes_its_options_from_a_file_too(name: str, tmp_path: Path) -> None:
    path = tmp_path / "promote.yaml"
    path.write_text("alias: staging\nnote: from a file\napproved_by: ann\n")
    assert run("promote", name, "3", "--config", str(path)).stdout == f"{name} 3 is staging now.\n"
    assert metamodel.versions(name).events["note"].tolist()[0] == "from a file"


@pytest.mark.parametrize("command", [("promote", "NAME", "2", "--note", "n", "--approved-by", "a"), ROLLBACK])
def test_without_the_right_to_write_nothing_is_half_done(
    name: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    client = MlflowClient()
    client.set_registered_model_alias(name, "champion", "1")
    before = client.get_registered_model(name), client.get_model_version(name, "2").tags

    def refused(self: MlflowClient, *args: object, **kwargs: object) -> None:
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    with monkeypatch.context() as patch:
        for method in ("set_registered_model_tag", "set_model_version_tag", "set_registered_model_alias"):
            patch.setattr(MlflowClient, method, refused)
        result = run(*(name if word == "NAME" else word for word in command))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1), result.stderr
    assert "Permission denied" in result.stderr
    after = client.get_registered_model(name), client.get_model_version(name, "2").tags
    assert (after[0].aliases, after[0].tags, after[1]) == (before[0].aliases, before[0].tags, before[1])
