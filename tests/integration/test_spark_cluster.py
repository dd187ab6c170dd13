"""Training on a real standalone cluster on loopback: master and workers are processes, and one of them is killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import IMPORTS
from spark_cluster import SECONDS, Cluster, Program, program, standalone
from spark_tables import FEATURES, KEYS, TARGET, assert_same_ledger, in_cells

import metamodel
from metamodel.bundle.model import MetaModel

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for both tests, of which the last kills a worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", IMPORTS, prepend=os.pathsep)
        with standalone(tmp_path_factory.mktemp("cluster")) as running:
            yield running


@pytest.fixture(scope="module")
def application(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One application, with an executor on each worker, for both tests."""
    with program(cluster.master, tmp_path_factory.mktemp("application")) as running:
        yield running


def test_cluster_trains_and_scores_housing_cells_as_this_machine_does(
    application: Program, housing: pd.DataFrame, tmp_path: Path
) -> None:
    cells = in_cells(housing).query("longitude_cell < -121")  # a third of the cells: each is a fit or three
    cells.to_parquet(tmp_path / "housing.parquet", index=False)
    application.start("housing", tmp_path)
    local = metamodel.train(
        str(tmp_path / "housing.parquet"), KEYS, TARGET, features=FEATURES, unknown="fallback", n_jobs=1
    )
    found = application.found(tmp_path)

    model = MetaModel(tmp_path / "bundle")
    assert found["groups"] == len(local.ledger)
    assert_same_ledger(local.ledger, model.ledger)
    expected = MetaModel(local.bundle_path).predict(cells)["prediction"]
    np.testing.assert_allclose(model.predict(cells)["prediction"], expected, rtol=1e-9)
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert len(scored) == len(cells)
    np.testing.assert_allclose(np.sort(scored["prediction"]), np.sort(expected), rtol=1e-9)


def test_killed_worker_neither_loses_nor_doubles_a_group(
    cluster: Cluster, application: Program, tmp_path: Path
) -> None:
    application.start("slowly", tmp_path)
    journal = tmp_path / "journal.csv"
    deadline = time.monotonic() + SECONDS
    lines: list[str] = []
    while len(lines) < 16 and application.at_work(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
        lines = journal.read_text().splitlines() if journal.exists() else []
    assert len(lines) >= 16, application.log()  # some tasks are done and two are under way
    # The executor dies with its daemon of Python processes, and the worker that would start another with it.
    victim = int(lines[-1].split(",")[1])
    workers = {worker.pid for worker in cluster.workers}
    family = [victim]  # the process that fits, those that forked it, the executor, Spark's worker
    while family[-1] not in workers:
        family.append(parent_of(family[-1]))
    for pid in reversed(family):
        os.kill(pid, signal.SIGKILL)
    application.found(tmp_path)

    ledger = MetaModel(tmp_path / "bundle").ledger
    assert ledger["shop"].tolist() == list(range(60))
    assert set(ledger["status"]) == {"fitted"}
    processes = {line.split(",")[0] for line in journal.read_text().splitlines()}
    assert len(processes) >= 2
    assert len(journal.read_text().splitlines()) > 60, "nothing was fitted twice, so nothing was lost with the worker"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
