"""Credentials in the address of the tracking server, and in what estimators raise, are never stored nor shown.

Every command of a model's week is run against a real server whose address holds a password, and everything that it
leaves is searched: what it says, its files, MLflow's database and artifacts.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from servers import Server, tracking_server

from metamodel.cli import main

SECRETS = ("pa55word", "t0ken")

# Says in its error where it looked.
TOLD = "fails_with_address.FailsWithAddress"

FAILS = '''
from sklearn.linear_model import LinearRegression

class FailsWithAddress(LinearRegression):
    """Fails for one group, with an address in its words."""

    def fit(self, x, y, sample_weight=None):
        if max(y) > 900:
            raise ValueError("https://ann:pa55word@store.example/x?token=t0ken gave no answer")
        return super().fit(x, y)
'''


def panel(shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    shop = np.repeat(np.arange(6), 40)
    x = rng.normal(size=len(shop))
    y = x * (shop + 1) + shift + rng.normal(size=len(shop)) / 5
    return pd.DataFrame({"shop": shop, "row_id": np.arange(len(shop)), "x": x, "y": np.where(shop == 5, 1000.0, y)})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    directory = tmp_path / "server"
    directory.mkdir()
    with tracking_server(directory) as server:
        address = server.url.replace("http://", "http://ann:pa55word@")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT")
        yield server


def searched(*folders: Path) -> list[str]:
    """Files that hold a secret; of databases, whatever their pages hold."""
    found = []
    for folder in folders:
        for path in (path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            found += [f"{path}: {secret}" for secret in SECRETS if secret.encode() in content]
    return found


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:The model cannot be loaded without:UserWarning")
def test_a_weeks_commands_leave_no_secret_anywhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    work = tmp_path / "work"
    (work / "code").mkdir(parents=True)
    (work / "code" / "fails_with_address.py").write_text(FAILS)
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(work / "code"))
    panel().to_csv("old.csv", index=False)
    panel(3.0).assign(row_id=lambda rows: rows["row_id"] + 1000).to_csv("new.csv", index=False)
    options = ["--group-by", "shop", "--target", "y", "--features", "x", "--n-jobs", "1"]
    log = ["--log", "answers", "--log-id", "row_id"]
    monkeypatch.setenv("METAMODEL_LOG_SECRET", "of the pseudonyms")
    commands = [
        ["train", "--data", "old.csv", *options, "--estimator", TOLD, "--output-dir", "bundle"],
        ["train", "--data", "old.csv", *options, "--estimator", "ridge", "--register", "sales", "--alias", "champion"],
        ["log", "bundle", "--register", "sales"],
        ["score", "--data", "new.csv", "--model", "models:/sales@champion", "--output", "scored.parquet", *log],
        ["update", "models:/sales@champion", "--data", "new.csv", "--register", "sales", "--history", "history"],
        ["monitor", "models:/sales@champion", "--data", "new.csv", "--output", "monitored", "--history", "history"],
        ["rollout", "models:/sales/1", "models:/sales/3", "--mode", "ab", "--entity", "row_id", "--register", "both"],
        ["inspect", "models:/sales@champion"],
        ["versions", "sales"],
        ["report", "bundle", "--output", "report.html"],
        ["promote", "sales", "2"],
        ["rollback", "sales"],
        ["train", "--data", "none.csv", *options],
        ["score", "--data", "new.csv", "--model", "models:/nobody@champion", "--output", "x.csv"],
    ]
    said, ended = [], []
    for command in commands:
        result = CliRunner().invoke(main, command)
        said.append(result.output)
        ended.append((command[0], result.exit_code))
    (work / "said.txt").write_text("\n".join([*said, caplog.text]))
    assert [name for name, code in ended if code not in (0, 3)] == ["train", "score"], "\n".join(said)
    assert re.search(r"https://\*\*\*@store\.example/x\?token=\*\*\* gave no answer", "".join(said) + _texts(work))
    assert searched(work / "bundle", work / "answers", work / "monitored", work / "history", server.directory) == []
    assert searched(*[path for path in work.iterdir() if path.name != "code" and path.is_dir()]) == []
    assert [secret for secret in SECRETS if secret in (work / "said.txt").read_text()] == []
    with closing(sqlite3.connect(server.directory / "mlflow.db")) as database:
        assert not [line for line in database.iterdump() if any(secret in line for secret in SECRETS)]


def _texts(work: Path) -> str:
    return pd.read_parquet(work / "bundle" / "ledger.parquet").to_json(orient="records").replace("\\/", "/")
