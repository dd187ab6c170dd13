"""`prune`: a child that is not better than its parent is not stored, and the parent answers for it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.exceptions import InputError, UnknownGroup

RNG = np.random.default_rng(0)


def table():
    """Ten groups of one region that follow one line, and two of another of which each follows its own."""
    x = RNG.normal(size=(1440, 4))
    group = np.arange(1440) // 120
    y = x @ [1.0, 2.0, 3.0, 4.0] + RNG.normal(size=1440)
    own = group >= 10
    y[own] = (x[own] * [[5.0, -3.0, 0.0, 9.0]]).sum(axis=1) * (group[own] - 9) + RNG.normal(size=own.sum())
    return pd.DataFrame(x, columns=list("abcd")).assign(region=np.where(own, "B", "A"), g=group, y=y)


@pytest.fixture(scope="module")
def results():
    return {prune: fit(prune=prune) for prune in (False, True)}


def fit(**options):
    return metamodel.train(
        table_once, ["region", "g"], "y", LinearRegression(), **({"unknown": "fallback", "n_jobs": 1} | options)
    )


table_once = table()


def test_children_that_earn_their_place_stay(results):
    ledger = results[True].ledger
    kept = ledger[(ledger["level"] == 2) & (ledger["status"] == "fitted")]
    assert {10, 11} <= set(kept["g"])
    assert (kept["error_saved"] > 0).all()


def test_a_pruned_child_says_why_and_takes_no_room(results):
    ledger, whole = results[True].ledger, results[False].ledger
    gone = ledger[ledger["reason"].str.startswith("pruned: mean error ")]
    assert len(gone) == results[True].summary["groups_pruned"] > 0
    assert set(gone["status"]) == {"skipped"}
    assert (gone["bytes"].sum(), "".join(gone["sha256"])) == (0, "")
    assert results[True].summary["model_bytes"] < results[False].summary["model_bytes"]
    assert (whole["status"] == "fitted").all()


def test_its_rows_are_answered_by_the_parent(results):
    ledger, frame = results[True].ledger, table_once
    gone = set(ledger.loc[ledger["status"] == "skipped", "g"])
    answers = metamodel.load_model(results[True].bundle_path).predict(frame)
    assert set(answers.loc[frame["g"].isin(gone), "status"]) == {"parent:1"}
    assert set(answers.loc[~frame["g"].isin(gone), "status"]) == {"child"}


def test_a_pruned_child_cannot_be_had(results):
    ledger = results[True].ledger
    key = int(ledger.loc[ledger["status"] == "skipped", "g"].iloc[0])
    with pytest.raises(UnknownGroup, match=r"it was skipped in training \(pruned: mean error"):
        metamodel.load_model(results[True].bundle_path).child(("A", key))


def test_the_bundle_is_whole(results):
    assert metamodel.load_model(results[True].bundle_path).bundle.damaged_files() == []


def test_the_counts_know_of_it(results):
    summary = results[True].summary
    assert summary["fallback_groups"] == summary["groups_pruned"] == summary["groups_skipped"]
    assert summary["groups_compared"] == 12
    assert summary["groups_better_than_parent"] >= 2


def test_skill_is_counted_over_the_children_that_are_there(results):
    for result in results.values():
        children = result.ledger[(result.ledger["level"] == 2) & (result.ledger["status"] == "fitted")]
        assert result.summary["groups_with_baseline"] == len(children)
        assert result.summary["groups_above_baseline"] == (children["skill"] > 0).sum()
        assert result.summary["skill_median"] == children["skill"].median()


def test_stacks_leave_pruned_children_to_their_parents():
    result = fit(prune=True, stack=True)
    plain = metamodel.load_model(fit(prune=True).bundle_path).predict(table_once)
    stacked = metamodel.load_model(result.bundle_path).predict(table_once)
    assert stacked["status"].tolist() == plain["status"].tolist()
    np.testing.assert_allclose(stacked["prediction"], plain["prediction"])


def test_rows_without_weight_decide_nothing():
    frame = table_once.assign(w=np.arange(1440) % 3)
    options = {"unknown": "fallback", "features": list("abcd"), "sample_weight": "w", "n_jobs": 1}
    result = metamodel.train(frame, ["region", "g"], "y", LinearRegression(), prune=True, **options)
    rows = result.holdout
    weights = frame.set_index("y")["w"].loc[rows["actual"]]
    assert rows["weight"].tolist() == weights.tolist()
    counted = (rows["weight"] > 0).groupby(rows["key"], observed=True).sum()
    children = result.ledger[result.ledger["level"] == 2]
    assert sorted(children["compared_rows"]) == sorted(counted)
    loss = (rows["actual"] - rows["predicted"]).abs()
    mean = (loss * rows["weight"]).groupby(rows["key"], observed=True).sum() / rows.groupby("key", observed=True)[
        "weight"
    ].sum()
    np.testing.assert_allclose(sorted(children["holdout_mae"]), sorted(mean))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unknown": "null"}, 'prune needs parents .* Use unknown="fallback"'),
        ({"holdout": 0}, "prune compares children with their parents .* Set a holdout"),
        ({"prune": "yes"}, "prune='yes' is neither true, false nor auto"),
    ],
)
def test_what_pruning_needs_is_said(options, message):
    with pytest.raises(InputError, match=message):
        fit(**({"prune": True} | options))


# -------- by default
def small_and_large() -> pd.DataFrame:
    """Three groups of 12 rows and one of 40, all on one line, and one of 25 rows far above it."""
    sizes = {"a": 12, "b": 12, "c": 12, "large": 40, "apart": 25}
    rng = np.random.default_rng(1)
    group = np.repeat(list(sizes), list(sizes.values()))
    x = rng.normal(size=(len(group), 4))
    y = x @ [1.0, 2.0, 3.0, 4.0] + np.where(group == "apart", 100, 0) + rng.normal(size=len(group))
    return pd.DataFrame(x, columns=list("wxyz")).assign(g=group, target=y)


def test_by_default_a_small_child_has_to_show_that_it_is_better_than_its_parent() -> None:
    frame = small_and_large()
    options = {"unknown": "fallback", "n_jobs": 1, "stack": False, "split": "kfold:5", "pooled": False}
    result = metamodel.train(frame.rename(columns={"target": "y", "y": "v"}), "g", "y", LinearRegression(), **options)
    children = result.ledger[result.ledger["level"] == 1].set_index("g")
    assert children.loc[["large", "apart"], "status"].tolist() == ["fitted"] * 2
    lone = metamodel.train(frame[frame["g"] != "apart"], "g", "target", LinearRegression(), **options).ledger
    gone = lone[lone["status"] == "skipped"].set_index("g")
    assert set(gone.index) <= {"a", "b", "c"}
    assert len(gone)
    assert (
        gone["reason"]
        .str.fullmatch(r"pruned: mean error .+ of global, on 12 rows(, which may be .*)?, 12 rows in all")
        .all()
    )


def test_without_fallback_or_without_held_out_rows_every_child_stays() -> None:
    frame = small_and_large()
    for options in ({"unknown": "null"}, {"unknown": "fallback", "holdout": 0}):
        ledger = metamodel.train(frame, "g", "target", LinearRegression(), n_jobs=1, stack=False, **options).ledger
        assert set(ledger["status"]) == {"fitted"}
