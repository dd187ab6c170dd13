"""`metamodel pack` makes an existing model fast: a bundle where it lies or elsewhere, MLflow's as a new version."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.cli import main


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=(90, 2))
    return pd.DataFrame(x, columns=["a", "b"]).assign(y=x[:, 0] - x[:, 1], store=np.repeat(["p", "q", "r"], 30))


@pytest.fixture
def files(table: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder with the table, the table without one group, and a bundle without stacks."""
    table.to_csv(tmp_path / "all.csv", index=False)
    table[table["store"] != "r"].to_csv(tmp_path / "two.csv", index=False)
    metamodel.train(table, "store", "y", n_jobs=1, stack=False, output_dir=tmp_path / "bundle")
    return tmp_path


def pack(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["pack", *map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_a_bundle_is_replaced_where_it_is(files: Path, table: pd.DataFrame) -> None:
    before = MetaModel(files / "bundle").predict(table)
    code, printed, _ = pack(files / "bundle", "--data", files / "all.csv")
    model = MetaModel(files / "bundle")
    pd.testing.assert_frame_equal(model.predict(table), before)
    assert (code, model.stats()["rows_stacked"], model.bundle.damaged_files()) == (0, 90, [])
    assert printed == f"stacked           3 of 3 groups\nwritten to        {files / 'bundle'}\n"


def test_a_copy_leaves_the_bundle_as_it_was_and_says_who_is_not_stacked(files: Path) -> None:
    before = (files / "bundle" / "manifest.json").read_bytes()
    code, printed, _ = pack(files / "bundle", "--data", files / "two.csv", "--output", files / "copy", "--json")
    facts = json.loads(printed)
    assert (code, facts["groups_stacked"], facts["groups_fitted"]) == (0, 2, 3)
    assert (facts["not_stacked"], facts["output"]) == ({"no rows to compare on": 1}, str(files / "copy"))
    assert (files / "bundle" / "manifest.json").read_bytes() == before
    assert len(MetaModel(files / "copy").manifest.stacks) == 1


def test_a_registered_model_gets_a_new_version(files: Path, table: pd.DataFrame) -> None:
    result = metamodel.train(table, "store", "y", n_jobs=1, stack=False)
    metamodel.log_model(result, registered_model_name="slow", alias="champion", detail=True, report=False)
    arguments = ("models:/slow@champion", "--data", files / "all.csv", "--register", "slow", "--alias", "champion")
    code, printed, errors = pack(*arguments, "--json")
    facts = json.loads(printed)
    assert (code, facts["version"], facts["output"]) == (0, "2", None), errors
    assert MlflowClient().get_model_version_by_alias("slow", "champion").version == 2
    old, new = metamodel.load_model("models:/slow/1"), metamodel.load_model("models:/slow@champion")
    pd.testing.assert_frame_equal(new.predict(table), old.predict(table))
    assert (old.stats()["rows_stacked"], new.stats()["rows_stacked"]) == (0, 90)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models:/any@champion", "--data", "all.csv"], "which is not changed. Give --output DIR or --register NAME."),
        (["nothing", "--data", "all.csv", "--output", "new"], "There is no model at 'nothing'."),
        (["bundle", "--data", "none.csv"], "There is no file or folder"),
        (["bundle", "--data", "all.csv", "--alias", "champion"], "An alias needs a registered model."),
        (["bundle", "--data", "all.csv", "--register", "a/b"], "MLflow does not take the name 'a/b'"),
        (["bundle", "--data", "short.csv"], "The table lacks feature column 'b'"),
        (["bundle", "--data", "all.csv", "--output", "full"], "exists and is no bundle."),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(files)
    pd.read_csv("all.csv").drop(columns="b").to_csv("short.csv", index=False)
    (files / "full").mkdir()
    (files / "full" / "precious.txt").write_text("mine")
    before = (files / "bundle" / "manifest.json").read_bytes()
    code, printed, errors = pack(*arguments)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert message in errors
    assert (files / "bundle" / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in files.iterdir()) == ["all.csv", "bundle", "full", "short.csv", "two.csv"]


def test_a_damaged_child_is_never_recorded_as_right(files: Path) -> None:
    (shard,) = (files / "bundle" / "shards").iterdir()
    content = bytearray(shard.read_bytes())
    content[content.index(b"sklearn") + 3] ^= 0xFF
    shard.write_bytes(content)
    code, _, errors = pack(files / "bundle", "--data", files / "all.csv", "--output", files / "copy")
    assert (code, (files / "copy").exists()) == (1, False)
    assert "is damaged: its sha256 is not the recorded one." in errors
