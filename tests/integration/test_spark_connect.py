"""Training and scoring through a real Spark Connect server: the DataFrame API alone, no context, no RDD."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import IMPORTS
from spark_cluster import Program, connect_server, program
from spark_tables import FEATURES, KEYS, TARGET, assert_same_ledger, in_cells

import metamodel
from metamodel.bundle.model import MetaModel

pytest.importorskip("grpc", reason="Spark Connect needs grpcio (pip install 'pyspark[connect]')")
pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", IMPORTS, prepend=os.pathsep)
        with connect_server(tmp_path_factory.mktemp("connect")) as url:
            yield url


@pytest.fixture(scope="module")
def client(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One client with one session for both tests."""
    with program(server, tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.mark.parametrize("what", ["housing", "frames"])
def test_connect_trains_and_scores_as_this_machine_does(
    client: Program, housing: pd.DataFrame, tmp_path: Path, what: str
) -> None:
    cells = in_cells(housing).query("longitude_cell < -121")
    data = str(tmp_path / "housing.parquet")
    cells.to_parquet(data, index=False)
    client.start(what, tmp_path)
    unknown = "fallback" if what == "housing" else "null"
    local = metamodel.train(data, KEYS, TARGET, features=FEATURES, unknown=unknown, n_jobs=1)
    found = client.found(tmp_path)

    assert found["session"].startswith("pyspark.sql.connect")
    assert found["groups"] == len(local.ledger)
    assert_same_ledger(local.ledger, MetaModel(tmp_path / "bundle").ledger)
    expected = MetaModel(local.bundle_path).predict(cells)["prediction"]
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    np.testing.assert_allclose(np.sort(scored["prediction"]), np.sort(expected), rtol=1e-9)
    if what == "frames":
        statuses = json.loads((tmp_path / "statuses.json").read_text())
        assert statuses == scored["status"].value_counts().to_dict()
