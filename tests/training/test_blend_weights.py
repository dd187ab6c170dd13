"""What shrinkage does at the end of a training: weights, the blended holdout, missing parents, pruning."""

import json

import numpy as np
import pandas as pd
import pytest
from blended import FEATURES, FRAME, fit
from children import MARK, RaisesOnMark

import metamodel
from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.reader import Bundle
from metamodel.evaluation.metrics import regression_metrics
from metamodel.evaluation.shrinkage import Shrinkage
from metamodel.tables.keys import encode_key
from metamodel.training.blend_weights import blend_holdout, weight_table, weight_texts


@pytest.fixture(scope="module")
def result():
    return fit()


def test_the_weights_go_by_the_rows_of_each_levels_last_fit(result):
    ledger = result.ledger
    rows = dict(zip(keys_of(ledger, result.manifest.keys), ledger["rows"], strict=True))
    for key, text in zip(rows, ledger["weights"], strict=True):
        sizes = np.array([rows[key[:level]] for level in range(len(key) + 1)])
        np.testing.assert_allclose(json.loads(text), sizes / sizes.sum())


def test_the_bundle_holds_the_ledgers_weights(result):
    bundle = Bundle(result.bundle_path)
    assert bundle.manifest.group_values == {"columns": ["weight_0", "weight_1", "weight_2"], "groups": 15}
    assert bundle.manifest.options["shrinkage"] == {"method": "relative", "params": {}}
    keys = keys_of(result.ledger, result.manifest.keys)
    stored = bundle.weights.of(keys, ["weight_0", "weight_1", "weight_2"])
    for row, text in zip(stored, result.ledger["weights"], strict=True):
        assert [value for value in row.tolist() if not np.isnan(value)] == json.loads(text)


def test_the_parents_are_trained_and_answer_for_nobody(result):
    assert result.manifest.levels == (1, 0)
    assert result.summary["parents_fitted"] == 3
    new = FRAME.head(3).assign(shop=99)
    assert set(metamodel.load_model(result.bundle_path).predict(new)["status"]) == {"unknown_group"}


def test_without_shrinkage_a_bundle_is_what_it_was():
    plain = fit(shrinkage=None)
    assert (plain.manifest.group_values, plain.manifest.levels) == (None, ())
    assert "weights" not in plain.ledger
    assert "blended" not in plain.holdout


def test_children_do_not_depend_on_shrinkage(result):
    plain = fit(shrinkage=None, unknown="fallback", prune=False, pooled=False)
    assert plain.manifest.spec_digest == result.manifest.spec_digest
    assert plain.ledger["sha256"].tolist() == result.ledger["sha256"].tolist()


def test_groups_without_a_child_that_nobody_answers_for_are_counted_as_such():
    skipped = {"overrides": [{"region": "A", "shop": 0, "skip": True}]}
    counts = {unknown: fit(unknown=unknown, **skipped).summary for unknown in ("null", "fallback")}
    assert (counts["null"]["fallback_groups"], counts["null"]["unanswered_groups"]) == (0, 1)
    assert (counts["fallback"]["fallback_groups"], counts["fallback"]["unanswered_groups"]) == (1, 0)


# -------- the holdout
def test_the_ledger_measures_the_blend_on_rows_that_no_model_saw(result):
    held = result.holdout.dropna(subset=["blended"])
    ledger = result.ledger.set_index(pd.Index(map(encode_key, keys_of(result.ledger, result.manifest.keys))))
    for key, rows in held.groupby("key", observed=True):
        row = ledger.loc[key]
        shares = json.loads(row["weights"])
        parts = rows[["predicted_by_global", "predicted_by_level_1", "predicted"]].to_numpy()
        np.testing.assert_allclose(rows["blended"], parts @ shares)
        blended = regression_metrics(rows["actual"].to_numpy(), rows["blended"].to_numpy())
        own = regression_metrics(rows["actual"].to_numpy(), rows["predicted"].to_numpy())
        assert row["blended_rows"] == len(rows)
        assert [row[f"blended_{name}"] for name in blended] == pytest.approx(list(blended.values()), nan_ok=True)
        assert row["blended_skill"] == pytest.approx(1 - blended["rmse"] / own["rmse"])
    assert ledger["blended_rows"].sum() == len(held) > 0.9 * len(result.holdout)


def test_the_summary_says_whether_it_pays(result):
    children = result.ledger[result.ledger["level"] == 2]
    assert result.summary["blended_rmse_mean"] == pytest.approx(children["blended_rmse"].mean())
    assert result.summary["blended_rmse_mean"] < result.summary["unblended_rmse_mean"]
    assert result.summary["groups_better_blended"] == (children["blended_skill"] > 0).sum()


def test_the_metric_of_the_skill_is_the_one_asked_for():
    result = fit(metric="mae")
    row = result.ledger.iloc[0]
    own = result.holdout[result.holdout["key"] == '["A",0]'].dropna(subset=["blended"])
    mae = np.abs(own["predicted"] - own["actual"]).mean()
    assert row["blended_skill"] == pytest.approx(1 - row["blended_mae"] / mae)


def test_a_blend_that_makes_it_worse_is_said_on_screen(caplog):
    far = FRAME.assign(y=FRAME["y"] + 1000 * FRAME["shop"])
    fit(far)
    assert "warning: shrinkage='relative' raises the groups' mean held-out rmse from " in caplog.text


def test_without_held_out_rows_there_are_weights_and_no_metrics():
    result = fit(holdout=0)
    assert (result.ledger["weights"] != "").all()
    assert result.ledger["blended_rows"].sum() == 0
    assert result.ledger["blended_rmse"].isna().all()
    assert "blended_rmse_mean" not in result.summary


def test_weighted_rows_count_by_their_weight():
    weighted = FRAME.assign(w=np.where(FRAME["x"] > 0, 3.0, 0.5))
    result = fit(weighted, sample_weight="w")
    rows = result.holdout[result.holdout["key"] == '["B",11]'].dropna(subset=["blended"])
    expected = np.average(np.abs(rows["blended"] - rows["actual"]), weights=rows["weight"])
    found = result.ledger[result.ledger["shop"] == 11].iloc[0]
    assert found["blended_mae"] == pytest.approx(expected)


def test_parents_on_the_holdout_are_blended_with_their_own_parents(result):
    ledger = result.ledger
    rows = dict(zip(keys_of(ledger, result.manifest.keys), ledger["rows"].astype(int), strict=True))
    weights = weight_table(rows, Shrinkage("relative"), 2)
    answered = blend_holdout(result.holdout, weights, 2, (1, 0))
    shares = json.loads(weight_texts(weights)['["A"]'])
    of_region = result.holdout["key"].astype(str).str.startswith('["A"')
    parts = result.holdout.loc[of_region, ["predicted_by_global", "predicted_by_level_1"]].to_numpy()
    np.testing.assert_allclose(answered.loc[of_region, "predicted_by_level_1"], parts @ shares)
    assert answered["predicted_by_global"].equals(result.holdout["predicted_by_global"])


# -------- what is missing
def test_a_failed_parent_leaves_its_part_to_the_others_and_the_ledger_says_so():
    broken = FRAME.copy()
    broken.loc[broken.index[broken["shop"] == 0][0], "x"] = MARK  # child 0, its region and the global model fail
    result = fit(broken, RaisesOnMark(), unknown="fallback", prune=False)
    ledger = result.ledger.set_index("shop")
    assert ledger.loc[0, ["status", "weights"]].tolist() == ["failed", ""]
    assert ledger.loc[1, "reason"] == "shrinkage: no model of level 0, 1"
    assert json.loads(ledger.loc[1, "weights"]) == [None, None, 1.0]
    shares = json.loads(ledger.loc[11, "weights"])
    assert shares[0] is None
    assert sum(shares[1:]) == pytest.approx(1)
    answers = metamodel.load_model(result.bundle_path).predict(FRAME)
    assert answers.loc[FRAME["shop"] == 0, "status"].unique().tolist() == ["failed"]
    rest = FRAME["shop"] != 0
    assert set(answers.loc[rest, "status"]) == {"child"}
    child, region = (metamodel.load_model(result.bundle_path).child(key) for key in (("B", 11), ("B",)))
    x = FRAME.loc[FRAME["shop"] == 11, FEATURES]
    expected = shares[1] * region.predict(x) + shares[2] * child.predict(x)
    np.testing.assert_allclose(answers.loc[x.index, "prediction"], expected)


def test_when_no_level_has_enough_rows_the_largest_there_is_answers():
    # The region and the global model are larger than the row limit, so only children are left.
    options = {"shrinkage": "min_n_obs", "shrinkage_params": {"min_n_obs": 100}, "max_group_rows": 60}
    result = fit(**options)
    children = result.ledger[result.ledger["level"] == 2]
    assert {text for text in children["weights"]} == {"[null, null, 1.0]"}


# -------- pruning
def test_what_would_be_answered_decides_on_pruning():
    options = {"unknown": "fallback", "prune": True, "shrinkage": "constant", "shrinkage_params": {"alpha": 1.0}}
    result = fit(**options)
    # With the whole weight on the global model, child and parent answer alike: no child is worth its place.
    children = result.ledger[result.ledger["level"] == 2]
    assert len(children) == result.summary["groups_pruned"] == 12
    assert children["reason"].str.startswith("pruned: mean error").all()
    assert set(children["weights"]) == {""}
    assert Bundle(result.bundle_path).manifest.group_values["groups"] == 3  # the parents
    answers = metamodel.load_model(result.bundle_path).predict(FRAME)
    assert set(answers["status"]) == {"parent:1"}
    np.testing.assert_allclose(
        answers["prediction"], metamodel.load_model(result.bundle_path).child(()).predict(FRAME[FEATURES])
    )
