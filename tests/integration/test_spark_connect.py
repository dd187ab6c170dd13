"""Training and scoring through a real Spark Connect server: the DataFrame API alone, no context, no RDD."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import IMPORTS, SUPPORT
from spark_cluster import connect_server
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


@pytest.mark.parametrize("what", ["housing", "frames"])
def test_connect_trains_and_scores_as_this_machine_does(
    server: str, housing: pd.DataFrame, tmp_path: Path, what: str
) -> None:
    cells = in_cells(housing).query("longitude_cell < -121")
    data = str(tmp_path / "housing.parquet")
    cells.to_parquet(data, index=False)
    unknown = "fallback" if what == "housing" else "null"
    local = metamodel.train(data, KEYS, TARGET, features=FEATURES, unknown=unknown, n_jobs=1)
    with (tmp_path / "program.log").open("w") as log:
        command = [sys.executable, str(SUPPORT / "cluster_program.py"), server, str(tmp_path), what]
        code = subprocess.run(command, stdout=log, stderr=log, timeout=400, check=False).returncode

    assert code == 0, (tmp_path / "program.log").read_text()[-3000:]
    assert json.loads((tmp_path / "found.json").read_text())["session"].startswith("pyspark.sql.connect")
    assert_same_ledger(local.ledger, MetaModel(tmp_path / "bundle").ledger)
    expected = MetaModel(local.bundle_path).predict(cells)["prediction"]
    scored = pd.read_parquet(tmp_path / "scored.parquet")
    np.testing.assert_allclose(np.sort(scored["prediction"]), np.sort(expected), rtol=1e-9)
    if what == "frames":
        statuses = json.loads((tmp_path / "statuses.json").read_text())
        assert statuses == scored["status"].value_counts().to_dict()
