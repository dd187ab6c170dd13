"""The pooled model: one model of all groups that knows the group columns, judged on rows that children held back."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

import metamodel
from metamodel.evaluation.holdout import POOLED_COLUMN
from metamodel.exceptions import InputError
from metamodel.training.engines import pooled

OPTIONS: dict[str, Any] = {"unknown": "fallback", "n_jobs": 1, "stack": False, "prune": False}


def table(slopes: str, groups: int = 12, rows: int = 40) -> pd.DataFrame:
    """Groups of two regions with offsets of their own, and one slope for all or one for each."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=(len(group), 3))
    slope = np.ones(groups) if slopes == "shared" else rng.normal(0, 5, size=groups)
    y = 50 * rng.normal(size=groups)[group] + slope[group] * x[:, 0] + x[:, 1] + 2 * rng.normal(size=len(group))
    return pd.DataFrame(x, columns=list("abc")).assign(region=np.where(group % 2, "A", "B"), shop=group, y=y)


def fit(frame: pd.DataFrame, estimator: Any = None, **options: Any) -> metamodel.TrainingResult:
    return metamodel.train(frame, ["region", "shop"], "y", estimator or LinearRegression(), **{**OPTIONS, **options})


def test_where_groups_differ_by_their_offset_alone_the_pooled_model_is_better_and_the_global_one_far_worse() -> None:
    summary = fit(table("shared", groups=60, rows=9)).summary
    assert summary["error_saved_of_pooled"] < -0.1
    assert summary["error_saved_of_global"] > 0.8


def test_where_every_group_has_its_own_slope_children_are_better_than_the_pooled_model() -> None:
    result = fit(table("own"))
    assert result.summary["error_saved_of_pooled"] > 0.3
    assert (result.ledger.loc[result.ledger["level"] == 2, "error_saved_pooled"] > 0).sum() > 9


@pytest.mark.parametrize("estimator", ["ridge", "hist_gradient_boosting", "nearest_neighbors", "decision_tree"])
def test_named_estimators_learn_offsets_from_the_group_columns(estimator: str) -> None:
    params = {"max_iter": 40} if estimator == "hist_gradient_boosting" else None
    summary = fit(table("shared", groups=6, rows=80), estimator, estimator_params=params).summary
    against_pooled, against_global = (1 - summary[f"error_saved_of_{name}"] for name in ("pooled", "global"))
    assert against_global / against_pooled < 0.6  # the pooled model's error, as a share of the global one's


def test_it_is_judged_on_all_rows_that_children_held_back_and_has_seen_none_of_them() -> None:
    frame = table("shared").assign(y=np.random.default_rng(1).normal(size=480))  # noise, which can only be remembered
    result = fit(frame, KNeighborsRegressor(1))
    held = result.holdout
    assert held[POOLED_COLUMN].notna().all()
    assert result.summary["pooled_rows"] == len(held)
    assert not np.isclose(held[POOLED_COLUMN], held["actual"]).any()


def test_with_a_time_column_it_holds_back_the_latest_rows_as_the_global_model_does() -> None:
    frame = table("shared").assign(week=np.tile(np.arange(40), 12))
    held = fit(frame, time_column="week", features=list("abc")).holdout
    assert (held[POOLED_COLUMN].isna() == held["predicted_by_global"].isna()).all()


def test_what_it_says_of_labels_is_counted_in_wrong_labels() -> None:
    frame = table("shared")
    level = frame["a"] + np.random.default_rng(1).normal(size=len(frame))
    frame = frame.assign(y=np.where(level > 0, "high", "low"))
    result = fit(frame, "logistic_regression")
    held = result.holdout
    wrong = (held["predicted"] != held["actual"]).mean(), (held[POOLED_COLUMN] != held["actual"]).mean()
    assert result.summary["error_saved_of_pooled"] == pytest.approx(1 - wrong[0] / wrong[1])


def test_text_features_weights_and_null_keys_reach_it() -> None:
    frame = table("shared").assign(colour=lambda t: np.where(t["a"] > 0, "red", "blue"), w=np.arange(480) % 3)
    frame.loc[frame["shop"] == 3, "region"] = None
    options = {"null_keys": "group", "sample_weight": "w"}
    few = {"max_iter": 10}
    assert fit(frame, "hist_gradient_boosting", estimator_params=few, **options).summary["pooled_rows"] > 0
    assert fit(frame, "ridge", **options).summary["error_saved_of_global"] > 0.5


@pytest.mark.slow
def test_many_levels_are_encoded_by_the_target_and_learned_as_well() -> None:
    frame = table("shared", groups=310, rows=8)
    for estimator in (LinearRegression(), HistGradientBoostingRegressor(max_iter=6, learning_rate=0.3)):
        summary = fit(frame, estimator).summary
        of_pooled = (1 - summary["error_saved_of_global"]) / (1 - summary["error_saved_of_pooled"])
        assert of_pooled < 0.6


def test_it_is_neither_stored_nor_a_row_of_the_ledger() -> None:
    with_it, without = (fit(table("own"), pooled=wanted) for wanted in (True, False))
    assert with_it.ledger["sha256"].tolist() == without.ledger["sha256"].tolist()
    assert without.ledger["error_saved_pooled"].isna().all()
    assert POOLED_COLUMN not in without.holdout


def test_without_parents_it_is_trained_where_it_is_asked_for() -> None:
    frame = table("own", groups=4)
    asked, plain = (fit(frame, unknown="null", pooled=wanted) for wanted in (True, "auto"))
    assert asked.ledger["error_saved_pooled"].notna().sum() == 4
    assert "error_saved_of_pooled" not in plain.summary


def test_it_needs_held_out_rows() -> None:
    with pytest.raises(InputError, match=r"pooled compares children .* Set a holdout"):
        fit(table("own"), pooled=True, holdout=0)


def findings(result: metamodel.TrainingResult) -> list[str]:
    return [finding.message for finding in result.findings if finding.check == "pooled"]


def test_where_it_is_too_dear_by_default_it_is_left_out_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "_CHEAP", 480 * 12 - 1)
    (said,) = findings(fit(table("own")))
    assert said.startswith("There is no model of all groups that knows the group columns: 480 rows of 12 groups")
    assert "pooled=True trains one" in said
    assert findings(fit(table("own"), pooled=True)) == []
    assert findings(fit(table("own"), pooled=False)) == []


def test_where_the_row_limit_leaves_it_out_that_is_told() -> None:
    (said,) = findings(fit(table("own"), pooled=True, max_group_rows=100))
    assert "max_group_rows=100 leaves out a model of all 480 rows" in said


class OnlyThreeColumns(LinearRegression):
    """Cannot be told which group a row is of."""

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        if x.shape[1] != 3:
            raise ValueError(f"{x.shape[1]} columns")
        return super().fit(x, y, sample_weight)


@pytest.mark.parametrize("wanted", [True, "auto"])
def test_a_fit_that_fails_is_told_with_its_error_and_children_answer(wanted: bool | str) -> None:
    result = fit(table("own"), OnlyThreeColumns(), pooled=wanted)
    (said,) = findings(result)
    assert "could not be fitted, and answers nobody: ValueError: 29 columns" in said
    assert set(result.ledger["status"]) == {"fitted"}


def test_the_order_of_the_rows_changes_nothing_of_it() -> None:
    frame = table("shared", groups=30, rows=9).assign(w=lambda t: 1 + t["shop"] % 3)
    results = [
        fit(one, HistGradientBoostingRegressor(max_iter=10), pooled=True, sample_weight="w")
        for one in (frame, frame.sample(frac=1, random_state=0))
    ]
    assert results[0].manifest.pooled is not None
    assert results[0].manifest.pooled["sha256"] == results[1].manifest.pooled["sha256"]
