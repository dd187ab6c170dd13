"""The pooled model of a Spark table: fitted by the driver, and what it answers is what it answers on this machine."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from spark_tables import assert_same_ledger, both

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.datasets import load_sample
from metamodel.exceptions import InputError
from metamodel.training.engines import pooled

pytestmark = pytest.mark.spark

KEYS, TARGET = ["country", "store", "product"], "units"


@pytest.mark.parametrize(("estimator", "wanted"), [("hist_gradient_boosting", "auto"), ("decision_tree", True)])
def test_the_sample_panel_is_answered_as_on_this_machine(spark: Any, estimator: str, wanted: bool | str) -> None:
    panel = load_sample("sales").drop(columns="week").dropna()
    panel = panel[(panel["store"] <= 5) | (panel["store"] > 90_000)]  # some shops of each country, and the broken ones
    options = {"unknown": "fallback", "pooled": wanted, "stack": False}
    local, on_spark = both(panel, spark.createDataFrame(panel), KEYS, TARGET, estimator, **options)

    assert {"fitted", "pooled", "skipped"} <= set(local.ledger["status"])
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.summary["error_saved_of_pooled"] == pytest.approx(on_spark.summary["error_saved_of_pooled"], rel=1e-9)
    assert described(local) == pytest.approx(described(on_spark), rel=1e-9)
    answers = [MetaModel(result.bundle_path).predict(panel) for result in (local, on_spark)]
    np.testing.assert_allclose(answers[0]["prediction"], answers[1]["prediction"], rtol=1e-9)
    assert answers[0]["status"].tolist() == answers[1]["status"].tolist()


def described(result: metamodel.TrainingResult) -> dict[str, float]:
    """What is known of the pooled model's answers to unknown groups, and of its size."""
    assert result.manifest.pooled is not None
    unknown = {name: value for name, value in result.manifest.pooled["unknown"].items() if value is not None}
    return {"groups": result.manifest.pooled["groups"], **unknown}


def alike() -> pd.DataFrame:
    """Groups of eight rows that differ by their offset, two rows of none, and a dot, times and weights."""
    rng = np.random.default_rng(0)
    shop = np.repeat(np.arange(30.0), 8)
    frame = pd.DataFrame({"shop": shop, "a.b": rng.normal(size=240), "week": np.tile(np.arange(8), 30)})
    frame = frame.assign(y=10 * shop + frame["a.b"] + rng.normal(size=240), w=1.0 + np.arange(240) % 3)
    frame.loc[[3, 90], "shop"] = np.nan
    return frame


def test_rows_without_a_group_times_and_weights_reach_it_as_on_this_machine(spark: Any) -> None:
    options = {"null_keys": "drop", "time_column": "week", "sample_weight": "w", "pooled": True, "prune": False}
    local, on_spark = both(alike(), spark.createDataFrame(alike()), "shop", "y", "ridge", **options)

    assert local.ledger["error_saved_pooled"].notna().all()
    assert_same_ledger(local.ledger, on_spark.ledger)


def test_a_table_that_is_too_large_to_be_collected_has_none_and_says_so(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled, "_MOST_COLLECTED", 200)
    table = spark.createDataFrame(alike().dropna())
    result = metamodel.train(table, "shop", "y", "ridge", unknown="fallback", engine="spark", n_jobs=1)

    (said,) = [one.message for one in result.findings if one.check == "pooled"]
    assert "238 rows, and Spark's driver collects 200 at most" in said
    assert result.ledger["error_saved_pooled"].isna().all()
    with pytest.raises(InputError, match=r"pooled=True .* collects 200 at most"):
        metamodel.train(table, "shop", "y", "ridge", pooled=True, engine="spark")
