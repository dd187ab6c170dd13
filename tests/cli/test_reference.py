"""`metamodel reference`: what is wrong is one line, before any server is asked."""

from pathlib import Path

import pytest
from command_line import run


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
