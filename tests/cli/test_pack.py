"""`metamodel pack` and `serve-check`: what goes together, and what was made."""

import zipfile
from pathlib import Path

import pandas as pd
import pytest
from command_line import run, strict

import metamodel


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give either --data TABLE, or --vendor, --zip FILE or both of these."),
        (["--data", "sales.csv", "--vendor"], "Give either --data TABLE, or --vendor"),
        (["--zip", "model.zip", "--output", "out"], "--output goes with --data."),
    ],
)
def test_pack_says_which_options_go_together(folder: Path, trained: str, options: list[str], message: str) -> None:
    result = run("pack", trained, *options)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(f"error: {message}")
    assert not Path("model.zip").exists()


def test_pack_with_a_table_stores_children_as_arrays_that_answer_alike(
    folder: Path, sales: pd.DataFrame, trained_bundle: Path
) -> None:
    result = run("pack", str(trained_bundle), "--data", "sales.csv", "--output", "packed", "--json")

    assert result.exit_code == 0, result.stderr
    facts = strict(result.stdout)
    assert (facts["groups_fitted"], facts["output"], facts["version"]) == (7, "packed", None)
    packed, before = metamodel.load_model("packed"), metamodel.load_model(str(trained_bundle))
    assert sum(entry["children"] for entry in packed.manifest.stacks) == facts["groups_stacked"] > 0
    pd.testing.assert_frame_equal(packed.predict(sales), before.predict(sales))


def test_serve_check_refuses_a_file_that_is_no_packed_model(folder: Path) -> None:
    result = run("serve-check", "sales.csv")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_one_file_holds_a_model_that_a_server_can_open(trained: str, sales: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    result = run("pack", trained, "--zip", str(path))
    checked = run("serve-check", str(path), "--json")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("packed model\n")
    assert str(path) in result.stdout
    assert checked.exit_code == 0, checked.stderr
    assert strict(checked.stdout) == {"file": str(path), "children": 7, "elsewhere": []}
    before, after = (metamodel.load_model(model).predict(sales) for model in (trained, path))
    pd.testing.assert_frame_equal(after, before)


def test_a_file_that_is_not_there_is_a_wrong_call() -> None:
    result = run("serve-check", "nowhere.zip")

    assert result.exit_code == 2
    assert "nowhere.zip" in result.stderr
    assert "does not exist" in result.stderr


@pytest.mark.parametrize("content", ["text", "empty archive"])
def test_a_file_that_holds_no_model_cannot_be_served(content: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    if content == "text":
        path.write_text("no archive")
    else:
        zipfile.ZipFile(path, "w").close()
    result = run("serve-check", str(path), "--json")

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("error: ")
