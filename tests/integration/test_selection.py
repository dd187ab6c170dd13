"""Splits, candidates, baselines and weights through `train`: one ledger on every engine, one line for bad input."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from spark_tables import assert_same_ledger

from metamodel.bundle.model import MetaModel
from metamodel.datasets import make_store_sales
from metamodel.exceptions import InputError
from metamodel.training.train import train

KEYS, TARGET = ["country", "store"], "units"
FEATURES = ["price", "promotion", "trend", "season_sin", "season_cos"]
BACKTEST = {
    "estimator": ["linear_regression", "decision_tree"],
    "features": FEATURES,
    "split": "rolling:folds=2,horizon=3",
    "time_column": "week",
    "metric": "mae",
    "season": 4,
    "sample_weight": "weight",
    "unknown": "fallback",
    "prune": False,
}


def sales() -> pd.DataFrame:
    """A panel with copies of rows, and weights of which some are 0."""
    frame = make_store_sales(n_stores=2, n_products=1, n_weeks=30)
    frame = frame.assign(week=frame["week"].astype("datetime64[us]"), weight=(np.arange(len(frame)) % 4) / 2.0)
    return pd.concat([frame, frame.iloc[::7]], ignore_index=True)


def shops() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    labels = np.where(x[:, 0] > 0.8, "dear", np.where(x[:, 0] > -0.5, "fair", "cheap"))
    return pd.DataFrame({"shop": rng.choice(list("abc"), 300), "x": x[:, 0], "z": x[:, 1], "y": labels})


def test_a_backtest_gives_one_ledger_with_one_process_and_with_two() -> None:
    one, two = (train(sales(), KEYS, TARGET, n_jobs=n, **BACKTEST).ledger for n in (1, 2))
    assert_same_ledger(one, two)
    fitted = one[(one["status"] == "fitted") & (one["rows"] > 20)]
    assert set(fitted["folds"]) == {2}
    assert set(fitted["candidate"]) == {"linear_regression", "decision_tree"}
    assert fitted["duplicates"].gt(0).all()
    assert fitted["skill"].notna().all()
    # What is copied within a child is left out of its parents, too.
    children, whole = one[one["level"] == len(KEYS)], one[one["level"] == 0].iloc[0]
    assert (whole["rows"], whole["duplicates"]) == (children["rows"].sum(), children["duplicates"].sum())


@pytest.mark.spark
def test_a_backtest_gives_the_ledger_of_this_machine_on_spark(spark: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "sales.parquet")
    sales().to_parquet(path, index=False)
    local = train(path, KEYS, TARGET, n_jobs=1, **BACKTEST)
    on_spark = train(path, KEYS, TARGET, engine="spark", **BACKTEST)
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.manifest.spec_digest == on_spark.manifest.spec_digest


@pytest.mark.spark
def test_folds_and_classes_give_the_ledger_of_this_machine_on_spark(spark: Any) -> None:
    options = {"estimator": "logistic_regression,decision_tree", "split": "kfold:3", "metric": "accuracy"}
    local = train(shops(), "shop", "y", n_jobs=2, **options)
    on_spark = train(spark.createDataFrame(shops()), "shop", "y", engine="spark", **options)
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.ledger["imbalance"].gt(1).all()
    assert set(local.ledger["baseline"]) == {"majority"}


def test_the_summary_says_how_many_groups_beat_the_baseline() -> None:
    result = train(shops(), "shop", "y", "logistic_regression", n_jobs=1)
    assert result.summary["groups_above_baseline"] == result.summary["groups_with_baseline"] == 3
    assert result.summary["skill_median"] == result.ledger["skill"].median()
    assert result.summary["duplicate_rows"] == 0


def test_weights_are_no_feature() -> None:
    result = train(sales()[[*KEYS, *FEATURES, TARGET, "weight"]], KEYS, TARGET, n_jobs=1, sample_weight="weight")
    assert result.manifest.features.names == FEATURES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "mape"}, "metric='mape' is unknown for regression. Use one of: mae, rmse, r2."),
        ({"metric": "accuracy"}, "metric='accuracy' is unknown for regression."),
        ({"split": "kfolds"}, "split='kfolds' is unknown."),
        ({"split": "rolling:folds=2,horizon=3"}, "goes by time, but there is no time_column. Name one."),
        ({"split": "kfold:3", "time_column": "week"}, "would train on rows later than those it tests"),
        ({"season": 4}, "season=4 goes by time, but there is no time_column. Name one."),
        ({"season": -1, "time_column": "week"}, "season=-1 is no number of time steps."),
        ({"duplicates": "remove"}, "duplicates='remove' is unknown. Use one of: auto, drop, keep."),
        (
            {"sample_weight": "units"},
            "sample_weight 'units' is the target or a group column. Name a column of its own.",
        ),
        ({"sample_weight": "wait"}, "The table lacks weight column 'wait'"),
        ({"sample_weight": "price", "features": ["price"]}, "'price' is the weight and a feature."),
        ({"sample_weight": "loss"}, "Weight column 'loss' has 1 value missing, infinite or below 0"),
        ({"sample_weight": "weight", "estimator": "nearest_neighbors"}, "KNeighborsRegressor takes no weights"),
        ({"estimator": ["ridge", "ridge"]}, "Two candidates have one name."),
        ({"time_column": "when"}, "Time column 'when' has 1 value missing or no time (first: 'soon')."),
        ({"time_column": "gap"}, "Time column 'gap' has 1 value missing or no time"),
    ],
)
def test_bad_input_is_one_clear_line(options: dict[str, Any], message: str) -> None:
    frame = sales().assign(loss=lambda f: f["weight"].where(f.index > 0, -1.0))
    frame["when"] = frame["week"].astype(str).where(frame.index != 3, "soon")
    frame["gap"] = frame["week"].where(frame.index != 3)
    with pytest.raises(InputError, match=re.escape(message)):
        train(frame, KEYS, TARGET, **{"features": FEATURES, **options})


@pytest.mark.spark
def test_bad_weights_and_times_are_one_clear_line_on_spark(spark: Any) -> None:
    frame = sales().assign(loss=lambda f: f["weight"].where(f.index > 0, -1.0), text="heavy")
    frame["when"] = frame["week"].astype(str).where(frame.index != 3, "soon")
    table = spark.createDataFrame(frame)
    for options, message in [
        ({"sample_weight": "loss"}, "'loss' has 1 value missing, infinite or below 0 (smallest: -1.0). Correct or"),
        ({"sample_weight": "text"}, "Weight column 'text' holds string values, which are no weights."),
        ({"time_column": "when"}, "Time column 'when' has 1 value missing or no time (first: 'soon')."),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            train(table, KEYS, TARGET, features=FEATURES, engine="spark", **options)


def test_equal_rows_of_two_children_stay_in_their_parent() -> None:
    frame = shops()
    twice = pd.concat([frame, frame.iloc[:10], frame.assign(shop="d")], ignore_index=True)
    ledger = train(twice, "shop", "y", "decision_tree", n_jobs=1, unknown="fallback", prune=False).ledger.set_index(
        "level"
    )
    assert ledger.loc[1, "rows"].sum() == 600
    assert (ledger.loc[0, "rows"], ledger.loc[0, "duplicates"]) == (600, 10)


NOISY = {
    "estimator": ["ridge", "decision_tree", "nearest_neighbors"],
    "features": FEATURES,
    "time_column": "week",
    "split": "rolling:folds=2,horizon=2",
    "unknown": "fallback",
    "prune": False,
}


def noisy() -> pd.DataFrame:
    """Straight lines in every shop, and so few held-out weeks that chance favours another candidate here and there."""
    frame = make_store_sales(n_stores=14, n_products=1, n_weeks=22, broken=False, random_state=3)
    return frame.assign(week=frame["week"].astype("datetime64[us]"))


def test_other_groups_have_a_say_in_which_candidate_is_chosen(tmp_path: Path) -> None:
    result = train(noisy(), KEYS, TARGET, n_jobs=2, output_dir=tmp_path / "bundle", **NOISY)
    assert_same_ledger(result.ledger, train(noisy(), KEYS, TARGET, n_jobs=1, **NOISY).ledger)
    children = result.ledger[result.ledger["level"] == 2]
    changed = children[children["candidate"] != children["own_best"]]
    assert len(changed) == result.summary["groups_chosen_by_others"] > 0
    assert changed["candidate"].tolist() == ["ridge"] * len(changed)
    # Every group stands once, with the figures, the rows and the child of its candidate.
    alone = train(noisy(), KEYS, TARGET, n_jobs=1, **{**NOISY, "estimator": "ridge"})
    of_alone = alone.ledger[alone.ledger["level"] == 2].set_index(KEYS)["holdout_rmse"]
    assert changed.set_index(KEYS)["holdout_rmse"].equals(of_alone[changed.set_index(KEYS).index])
    assert not result.holdout.duplicated(["key", "row"]).any()
    assert result.holdout["key"].nunique() == len(children) == 14
    model = MetaModel(result.bundle_path)
    assert {type(model.child(key)).__name__ for key in changed[KEYS].itertuples(index=False, name=None)} == {"Ridge"}


@pytest.mark.spark
def test_other_groups_have_the_same_say_on_spark(spark: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "sales.parquet")
    noisy().to_parquet(path, index=False)
    local = train(path, KEYS, TARGET, n_jobs=1, **NOISY)
    on_spark = train(path, KEYS, TARGET, engine="spark", **NOISY)
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert on_spark.summary["groups_chosen_by_others"] == local.summary["groups_chosen_by_others"] > 0
    assert len(on_spark.holdout) == len(local.holdout)
