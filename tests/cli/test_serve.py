"""`metamodel serve`: what cannot be served ends the command at once, in one line."""

from pathlib import Path

import pytest
from command_line import run

from metamodel.bundle.references import WORKERS_VARIABLE


def test_serve_says_in_one_line_that_there_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("orjson")
    monkeypatch.setenv(WORKERS_VARIABLE, "1")  # which serving sets where nobody did
    result = run("serve", str(tmp_path / "nothing"), "--port", "0")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "There is no model at" in result.stderr


@pytest.mark.parametrize("option", ["--port", "--workers", "--threads", "--max-rows", "--max-waiting"])
def test_serve_takes_whole_numbers_for_what_is_counted(option: str) -> None:
    result = run("serve", "model", option, "1.5")

    assert result.exit_code == 2
    assert f"Invalid value for '{option}': '1.5' is no whole number" in result.stderr
