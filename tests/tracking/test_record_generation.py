"""What a registered version adds to the history, and what is said where it cannot."""

from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from histories import everything, generations

from metamodel.exceptions import InputError
from metamodel.lineage.generation import Generation
from metamodel.lineage.history_store import HistoryStore
from metamodel.tracking.dataset import training_table
from metamodel.tracking.record_generation import generation_of, record_generation, writable_history


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return generations(tmp_path_factory.mktemp("bundles"))[0]


def test_a_version_says_which_table_its_run_has_logged(first):
    rows = pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0]})
    with mlflow.start_run() as run:
        mlflow.log_input(training_table(rows, "delta:/lake/sales@v12", "y"), context="training")
    data = generation_of("sales", 3, run.info.run_id, (first.manifest, first.digest, first.ledger)).data
    assert (data.run_id, data.source, data.version) == (run.info.run_id, "delta:/lake/sales@v12", 12)
    assert data.digest


def test_of_a_version_without_a_run_the_table_is_not_known(first):
    data = generation_of("sales", 3, "", (first.manifest, first.digest, first.ledger)).data
    assert (data.run_id, data.digest, data.source, data.version) == ("", "", "", None)


def test_whatever_fails_is_one_line_and_the_next_try_mends_it(first, tmp_path, monkeypatch, capsys):
    store, said = HistoryStore(tmp_path / "history"), (first.manifest, first.digest, first.ledger)
    logged = SimpleNamespace(registered_model_version=7, run_id="")

    def broken(*_):
        raise RuntimeError("first line\nsecond line")

    with monkeypatch.context() as patch:
        patch.setattr(HistoryStore, "write_generation", broken)
        record_generation(store, "sales", logged, said)
    line = capsys.readouterr().err.strip()
    assert line.startswith("Version 7 of sales is registered, but missing in the history (RuntimeError: first line")
    assert "\n" not in line
    record_generation(store, "sales", logged, said)
    assert everything(store)["versions"]["version"].tolist() == [7]


def test_only_registered_versions_have_a_history(tmp_path):
    assert writable_history(tmp_path / "history", None) is None
    assert not (tmp_path / "history").exists()
    assert writable_history(tmp_path / "history", "sales") is not None


def test_a_history_that_nobody_may_write_is_told_first(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        writable_history(tmp_path / "file" / "history", "sales")
