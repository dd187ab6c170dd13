"""Every command says within seconds, in one line, that the tracking server is not there."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import forked_programs
import pytest
import servers
from click.testing import CliRunner
from tiny_trainings import tiny, train_tiny

from metamodel.bundle.references import WORKERS_VARIABLE
from metamodel.cli import main

MODEL = "models:/sales@champion"
RUN = "runs:/0123456789abcdef0123456789abcdef/model"
TRAIN = ["train", "--data", "rows.csv", "--group-by", "group", "--target", "y"]
COMMANDS = {
    "train": TRAIN,
    "train, previous": [*TRAIN, "--previous", MODEL],
    "score": ["score", "--data", "rows.csv", "--model", MODEL, "--output", "scored.csv"],
    "serve": ["serve", MODEL, "--port", "0"],
    "inspect": ["inspect", MODEL],
    "inspect a run": ["inspect", RUN],
    "report": ["report", MODEL],
    "report of a run": ["report", "0123456789abcdef0123456789abcdef"],
    "export": ["export", MODEL, "--group", "1", "--output", "child"],
    "pack": ["pack", MODEL, "--zip", "model.zip"],
    "pack, register": ["pack", "bundle", "--data", "rows.csv", "--output", "packed", "--register", "sales"],
    "pack, vendor": ["pack", "bundle", "--vendor"],
    "reference": ["reference", "--children", "models:/sales-{group}@a", "--example", "rows.csv", "--group-by", "group"],
    "reference, search": [
        *("reference", "--search", "tags.a = 'b'"),
        *("--example", "rows.csv", "--group-by", "group", "--register", "sales"),
    ],
}


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind((servers.HOST, 0))
        listener.listen(8)
        yield f"http://ann:pa55@{servers.HOST}:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a bundle of it."""
    path = tmp_path_factory.mktemp("work")
    tiny(2).to_csv(path / "rows.csv", index=False)
    train_tiny(2).bundle_path.rename(path / "bundle")
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_that_hangs_is_told(name: str, silent: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("METAMODEL_SERVER_SECONDS", "0.3")
    monkeypatch.setenv(WORKERS_VARIABLE, "1")  # which serving sets where nobody did
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    before, began = set(folder.rglob("*")), time.monotonic()

    result = CliRunner().invoke(main, COMMANDS[name], catch_exceptions=False)

    assert time.monotonic() - began < 90  # MLflow itself would try for a quarter of an hour
    assert result.exit_code == 1
    shown = silent.replace("ann:pa55", "***")
    line = (
        f"error: The tracking server {shown} has not answered within 0.3 s. Start it, or correct MLFLOW_TRACKING_URI."
    )
    assert result.stderr.splitlines()[-1].startswith(line)
    assert sum("error" in line for line in result.stderr.splitlines()) == 1
    assert "pa55" not in result.output
    assert set(folder.rglob("*")) == before


def test_a_new_process_says_so_in_a_moment(silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any setting."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    monkeypatch.delenv("METAMODEL_SERVER_SECONDS")
    done = forked_programs.run("metamodel", "inspect", MODEL, cwd=tmp_path, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: The tracking server http://***@127.0.0.1")
    assert "has not answered within 2 s." in done.stderr
