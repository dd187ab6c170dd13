"""A training is one run, also where MLflow's autologging is on."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from stores import new_store

import metamodel
from metamodel.common.autologging import autologging_off


@pytest.fixture
def mlflow_autologs(tmp_path, monkeypatch):
    """MLflow with autologging on, and a store of its own."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    mlflow.autolog(silent=True, log_models=False)
    yield mlflow
    mlflow.autolog(disable=True, silent=True)


def runs(mlflow):
    return len(mlflow.search_runs(search_all_experiments=True))


def table():
    x = np.random.default_rng(0).normal(size=60)
    return pd.DataFrame({"shop": np.repeat(["a", "b"], 30), "x": x, "y": 2 * x})


@pytest.mark.filterwarnings("ignore")  # MLflow's own, about its integrations
def test_training_in_this_process_makes_no_run_and_a_fit_of_the_callers_own_makes_one(mlflow_autologs):
    result = metamodel.train(table(), "shop", "y", {"one": Ridge(1.0), "two": Ridge(2.0)}, n_jobs=1)
    assert result.ledger["status"].tolist() == ["fitted", "fitted"]
    assert runs(mlflow_autologs) == 0
    Ridge().fit(table()[["x"]], table()["y"])
    assert runs(mlflow_autologs) == 1


@pytest.mark.filterwarnings("ignore")
def test_who_has_switched_it_off_for_a_while_finds_it_off(mlflow_autologs):
    from mlflow.utils import autologging_utils

    with autologging_utils.disable_autologging():
        with autologging_off():
            pass
        Ridge().fit(table()[["x"]], table()["y"])
    assert runs(mlflow_autologs) == 0


def test_it_does_not_bring_mlflow_in():
    program = (
        "import sys\nfrom metamodel.common.autologging import autologging_off\n"
        "with autologging_off():\n    print('mlflow' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240)
    assert said.stdout.strip() == "False"
