"""A window that was judged is kept beside the version that it is about."""

import itertools

import pandas as pd
import pytest
from command_line import run
from histories import everything
from monitored import monitored, weeks

import metamodel
from metamodel.exceptions import InputError, StorageFailed
from metamodel.lineage.history_store import HistoryStore
from metamodel.monitoring import window_history
from metamodel.monitoring.window_history import WindowHistory

_numbers = itertools.count()


@pytest.fixture(scope="module")
def version() -> str:
    name = f"window-history-{next(_numbers)}"
    metamodel.log_model(monitored(), registered_model_name=name, report=False)
    return f"models:/{name}/1"


def test_the_command_keeps_what_it_says_of_the_groups_once(version, tmp_path):
    weeks(1, 3).to_parquet(tmp_path / "week.parquet")
    words = ["monitor", version, "--data", f"{tmp_path}/week.parquet", "--output", f"{tmp_path}/out"]
    for _ in range(2):
        result = run(*words, "--history", f"{tmp_path}/history")
        assert result.exit_code in (0, 3), result.stderr
    kept = everything(HistoryStore(tmp_path / "history"))["monitor"]
    said = pd.read_parquet(tmp_path / "out" / "groups.parquet").sort_values("key")
    assert kept.sort_values("key")["status"].tolist() == said["status"].tolist()
    assert set(kept["version"]) == {1}
    assert kept["rows"].sum() == said["rows"].sum()


def test_python_keeps_it_too_of_the_version_that_the_alias_pointed_at(version, tmp_path, monkeypatch):
    name = version.split("/")[1]
    monkeypatch.setenv("METAMODEL_HISTORY", str(tmp_path / "history"))
    metamodel.promote(name, 1)
    said = metamodel.monitor(f"models:/{name}@champion", weeks(1, 3))
    kept = everything(HistoryStore(tmp_path / "history"))["monitor"]
    assert set(zip(kept["window"], kept["version"], strict=True)) == {(said.facts["window"], 1)}
    assert kept["key"].tolist() == sorted(said.groups["key"])


def test_a_bundle_is_no_registered_version(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is no registered version"):
        WindowHistory.of(str(tmp_path), tmp_path / "history")
    monkeypatch.setenv("METAMODEL_HISTORY", str(tmp_path / "history"))
    assert WindowHistory.of(str(tmp_path), None) is None


def test_a_history_that_fails_takes_nothing_away_from_what_was_found(version, tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise StorageFailed("No space left.")

    monkeypatch.setattr(window_history, "append_monitor", full)
    kept = WindowHistory.of(version, tmp_path / "history")
    assert kept is not None
    assert not kept.keep("2026-W45", pd.DataFrame())
    assert "Window 2026-W45 is missing in the history (No space left.)" in capsys.readouterr().err
