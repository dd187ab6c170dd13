"""`metamodel pack` and `serve-check`: what goes together, and what was made."""

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
