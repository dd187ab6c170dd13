"""No test leaves behind what decides how another one ends: what `tests/conftest.py` watches is seen."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pytest
import sklearn
from leaks import Watch
from places import IMPORTS


def _set_variable(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setenv("METAMODEL_CACHE_MB", "7")


def _drop_variable(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.delenv("MLFLOW_TRACKING_URI")


def _change_directory(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.chdir(folder)


def _handle_signal(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setattr(signal, "getsignal", lambda number: str(number))


def _quieten(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setattr(logging.getLogger("metamodel"), "level", logging.CRITICAL)


def _set_store(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", str(folder))


def _set_experiment(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setattr("mlflow.tracking.fluent._active_experiment_id", "7")


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        (_set_variable, "variable METAMODEL_CACHE_MB: None -> '7'"),
        (_drop_variable, "variable MLFLOW_TRACKING_URI: 'sqlite:"),
        (_change_directory, "working directory: "),
        (_handle_signal, "handler of SIGINT: "),
        (_quieten, "level of the logger metamodel: "),
        (_set_store, "MLflow's tracking: None -> "),
        (_set_experiment, "MLflow's experiment: None -> '7'"),
    ],
)
def test_what_is_left_behind_is_named_once(
    leak: Callable[[pytest.MonkeyPatch, Path], None], named: str, tmp_path: Path
) -> None:
    watch = Watch()
    with pytest.MonkeyPatch.context() as patch:
        leak(patch, tmp_path)
        changes, told_again = watch.changes(), watch.changes()
    assert any(change.startswith(named) for change in changes), changes
    assert told_again == []


def test_settings_of_libraries_are_watched() -> None:
    watch = Watch()
    with np.errstate(all="raise"), sklearn.config_context(assume_finite=True):
        plt.figure(num=77)
        changes = watch.changes()
    plt.close(77)
    assert {change.partition(":")[0] for change in changes} >= {
        "errstate divide of NumPy",
        "setting assume_finite of scikit-learn",
        "figures of Matplotlib",
    }


def test_a_run_that_is_left_open_is_seen() -> None:
    watch = Watch()
    with mlflow.start_run() as run:
        changes = watch.changes()
    assert f"MLflow's active runs: () -> ('{run.info.run_id}',)" in changes


def test_the_path_is_put_back(tmp_path: Path) -> None:
    watch = Watch()
    sys.path.insert(0, str(tmp_path))
    watch.put_back()
    assert str(tmp_path) not in sys.path


def test_programs_find_this_checkout_whatever_the_shell_says() -> None:
    assert os.environ["PYTHONPATH"] == IMPORTS
