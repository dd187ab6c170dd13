"""Scoring in Spark's workers: who opens the model, from where, and how often."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from spark_children import RecordingRidge
from spark_tables import entries

import metamodel
from metamodel.exceptions import UnreadableBundle
from metamodel.scoring import spark_worker

pytestmark = pytest.mark.spark


def test_each_child_is_read_once_a_job(spark: Any, tmp_path: Path) -> None:
    journal = tmp_path / "journal.csv"
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"shop": np.tile(np.arange(50), 40), "x": rng.normal(size=2000), "y": rng.normal(size=2000)})
    bundle = metamodel.train(data, "shop", "y", RecordingRidge(str(journal)), n_jobs=1, holdout=0).bundle_path
    journal.write_text("")

    statuses = metamodel.score(spark.createDataFrame(data).repartition(7), bundle, engine="spark").select("status")

    assert {row[0] for row in statuses.collect()} == {"child"}
    loads = Counter(line.split(",")[2] for line in journal.read_text().splitlines() if line.startswith("load"))
    assert len(loads) == 50
    assert set(loads.values()) == {1}


def test_model_that_workers_cannot_reach_is_downloaded_once(spark: Any, tmp_path: Path) -> None:
    """A folder that only the driver sees: the workers fetch the model from where it is logged."""
    from dataclasses import replace

    from metamodel.scoring import spark as scoring

    data = pd.DataFrame({"shop": ["a", "b"] * 20, "x": np.arange(40.0), "y": np.arange(40.0)})
    result = metamodel.train(data, "shop", "y", n_jobs=1)
    uri = metamodel.log_model(result, report=False).model_uri
    place = scoring._place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_place", lambda *given: replace(place(*given), bundle=str(tmp_path / "nowhere")))
        before = entries(spark)
        answers = metamodel.score(spark.createDataFrame(data), uri, engine="spark").toPandas()

    assert set(answers["status"]) == {"child"}
    assert entries(spark) == before


def test_a_download_that_another_process_never_ends_ends_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_worker, "_LONGEST_DOWNLOAD", 0.05)
    match = r"^Another process of this machine has been fetching models:/sales/1 for 0\.05 s, into [^\n]*\. End it"
    with FileLock(tmp_path / "lock"), pytest.raises(UnreadableBundle, match=match):
        spark_worker._fetch_once("models:/sales/1", None, tmp_path)
