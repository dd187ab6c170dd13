"""``metamodel compact-log``: what it did in words and in JSON, and wrong input in one line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from logged_rows import answered, frame_of, settings_in

from metamodel.cli import main
from metamodel.prediction_log.log_files import write_new_file
from metamodel.prediction_log.log_tables import log_table

pytestmark = pytest.mark.tableless


def _log(folder: Path) -> str:
    settings = settings_in(folder, entity=("customer",), secret="hush")
    for customer in ("c-1", "7", 7):
        write_new_file(folder, log_table([answered(frame_of(5).assign(customer=customer))], settings))
    return str(folder)


def test_it_compacts_deletes_and_forgets_text_and_number_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("METAMODEL_LOG_SECRET", "hush")
    run = CliRunner().invoke(main, ["compact-log", _log(tmp_path), "--forget-entity", "7"])
    assert run.output == f"15 rows of 3 files compacted in {tmp_path}\n  10 rows forgotten\n"
    arguments = ["compact-log", str(tmp_path), "--delete-older", "90d", "--forget-entity", '["c-1"]', "--json"]
    assert json.loads(CliRunner().invoke(main, arguments).output) == {
        "files": 0, "rows": 0, "damaged": 0, "deleted": 5, "forgotten": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--delete-older", "long"], "delete_older='long' is no length of time"),
        (["--forget-entity", "[c-1"], "is no list in JSON"),
        (["--forget-entity", "c-1"], "Set METAMODEL_LOG_SECRET"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("METAMODEL_LOG_SECRET", raising=False)
    run = CliRunner().invoke(main, ["compact-log", _log(tmp_path), *arguments])
    assert (run.exit_code, run.output.count("\n")) == (2, 1)
    assert message in run.output


def test_a_folder_without_a_log_is_refused(tmp_path: Path):
    run = CliRunner().invoke(main, ["compact-log", str(tmp_path)])
    assert (run.exit_code, run.output.count("\n")) == (2, 1)
    assert "holds no prediction log" in run.output
