"""The pooled model answers the groups for which it is better, and everybody is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.evaluation.holdout import POOLED_COLUMN

KEYS = ["region", "shop"]
FEATURES = list("abc")


def table(groups: int = 40, rows: int = 8, own_slopes: int = 0) -> pd.DataFrame:
    """Groups with offsets of their own and one slope for all; the last `own_slopes` go their own way, on more rows."""
    rng = np.random.default_rng(0)
    sizes = [rows] * (groups - own_slopes) + [30] * own_slopes
    shop = np.repeat(np.arange(groups), sizes)
    x = rng.normal(size=(len(shop), 3))
    slope = np.where(np.arange(groups) < groups - own_slopes, 1.0, np.where(np.arange(groups) % 2, 30, -30))
    y = 50 * rng.normal(size=groups)[shop] + slope[shop] * x[:, 0] + x[:, 1] + 2 * rng.normal(size=len(shop))
    return pd.DataFrame(x, columns=FEATURES).assign(region=np.where(shop % 2, "A", "B"), shop=shop, y=y)


def fit(frame: pd.DataFrame, estimator: Any = None, **options: Any) -> metamodel.TrainingResult:
    options = {"unknown": "fallback", "n_jobs": 1, "features": FEATURES, "pooled": True, "prune": False, **options}
    return metamodel.train(frame, KEYS, "y", estimator or LinearRegression(), **options)


FRAME = table(groups=64, own_slopes=2)


@pytest.fixture(scope="module")
def result() -> metamodel.TrainingResult:
    return fit(FRAME)


@pytest.fixture(scope="module")
def model(result: metamodel.TrainingResult) -> MetaModel:
    return metamodel.load_model(result.bundle_path)


def test_groups_that_share_a_slope_are_pooled_and_those_that_do_not_keep_their_own(
    result: metamodel.TrainingResult,
) -> None:
    children = result.ledger[result.ledger["level"] == 2].set_index("shop")
    assert (children["status"] == "pooled").sum() > 30
    assert children.loc[[62, 63], "status"].tolist() == ["fitted", "fitted"]
    pooled = children[children["status"] == "pooled"]
    assert pooled["reason"].str.match(r"pooled: mean error [\d.e+-]+, [\d.e+-]+ of its own model, on ").all()
    assert (pooled["sha256"] == "").all()
    assert (pooled["bytes"] == 0).all()


def test_it_answers_as_its_own_predict_does_by_hand(model: MetaModel) -> None:
    shuffled = FRAME.sample(frac=1, random_state=1)
    answers = model.predict(shuffled, {"detail": True})
    by_pooled = answers["status"] == "pooled"
    assert by_pooled.sum() > 200
    pooled, version = model.bundle.pooled()
    rows = shuffled[by_pooled]
    told = rows[FEATURES].assign(
        **{
            "group:region": [json.dumps([region]) for region in rows["region"]],
            "group:shop": [json.dumps([shop]) for shop in rows["shop"]],
            "group": [json.dumps(key, separators=(",", ":")) for key in zip(rows["region"], rows["shop"], strict=True)],
        }
    )
    np.testing.assert_allclose(answers.loc[by_pooled, "prediction"], pooled.estimator.predict(told), rtol=1e-12)
    assert (answers.loc[by_pooled, "child_version"] == version[:12]).all()
    assert (answers.loc[by_pooled, "level"] == 0).all()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(FRAME) - 1), st.sampled_from(["as it is", "stranger", "null"])), max_size=9)
)
def test_rows_in_are_rows_out_each_with_its_own_answer(model: MetaModel, chosen: list[tuple[int, str]]) -> None:
    rows = FRAME.iloc[[row for row, _ in chosen]].copy()
    rows.index = pd.Index([7] * len(rows))
    what = np.array([how for _, how in chosen], dtype=object)
    rows.loc[:, "shop"] = np.where(what == "stranger", 999, rows["shop"])
    rows["a"] = np.where(what == "null", np.nan, rows["a"])
    together = model.predict(rows)
    assert together.index.equals(rows.index)
    alone = [model.predict(rows.iloc[[i]]) for i in range(len(rows))]
    assert together["status"].tolist() == [one["status"].iloc[0] for one in alone]
    expected = [one["prediction"].iloc[0] for one in alone]
    np.testing.assert_allclose(together["prediction"], np.array(expected, dtype=float), rtol=1e-12)
    assert not together.loc[what == "null", "prediction"].notna().any()


def test_a_group_s_child_is_the_pooled_model_as_an_estimator_of_the_group(
    result: metamodel.TrainingResult, model: MetaModel
) -> None:
    key = tuple(result.ledger[result.ledger["status"] == "pooled"][KEYS].iloc[0])
    rows = FRAME[(FRAME["region"] == key[0]) & (FRAME["shop"] == key[1])]
    np.testing.assert_allclose(model.child(key).predict(rows[FEATURES]), model.predict(rows)["prediction"], rtol=1e-12)
    assert isinstance(model.child(("A", 63)), LinearRegression)
    assert isinstance(model.child(()), LinearRegression)  # the global model stays what it is


def test_the_result_the_manifest_and_the_findings_say_so(result: metamodel.TrainingResult) -> None:
    number = int((result.ledger["status"] == "pooled").sum())
    assert result.summary["groups_pooled"] == result.manifest.counts["pooled"] == number
    assert result.manifest.pooled is not None
    assert result.manifest.pooled["groups"] == number
    assert f"{number} pooled" in str(result)
    assert any(one.check == "pooled" and f"answers {number} of 64 groups" in one.message for one in result.findings)
    assert result.summary["fallback_groups"] == result.summary["unanswered_groups"] == 0


def test_damage_fails_its_rows_and_no_others(result: metamodel.TrainingResult, tmp_path: Path) -> None:
    bundle = fit(FRAME, output_dir=tmp_path / "bundle").bundle_path
    shard = bundle / "pooled" / "00000.sqlite"
    content = bytearray(shard.read_bytes())
    start = content.index(b"sklearn")
    content[start : start + 7] = b"damaged"
    shard.write_bytes(content)
    damaged = metamodel.load_model(bundle)
    answers = damaged.predict(FRAME, {"detail": True})
    counted = answers["status"].value_counts().to_dict()
    children = FRAME["shop"].isin(result.ledger.loc[(result.ledger["status"] == "fitted"), "shop"].dropna())
    assert counted == {"failed": int((~children).sum()), "child": int(children.sum())}
    assert (answers.loc[answers["status"] == "failed", "error"] != "").all()
    assert damaged.bundle.damaged_groups() == {"[]": ["pooled"]}


def test_preloaded_rows_are_at_hand(result: metamodel.TrainingResult) -> None:
    opened = metamodel.load_model(result.bundle_path, preload=64)
    by_pooled = result.ledger.loc[result.ledger["status"] == "pooled", "shop"]
    assert opened.at_hand(opened.route.read(FRAME[FRAME["shop"].isin(by_pooled)]))


def test_intervals_of_its_answers_are_those_of_its_own_errors() -> None:
    frame = table(groups=60, rows=10)
    with_it = fit(frame, interval=0.8)
    answers = metamodel.load_model(with_it.bundle_path).predict(frame)
    by_pooled = answers["status"] == "pooled"
    assert by_pooled.mean() > 0.5
    held = with_it.holdout[
        with_it.holdout["key"].isin(
            [f'["{r}",{s}]' for r, s in zip(frame["region"][by_pooled], frame["shop"][by_pooled], strict=True)]
        )
    ]
    residuals = (held[POOLED_COLUMN] - held["actual"]).abs()
    radius = ((answers["upper"] - answers["lower"]) / 2)[by_pooled]
    assert residuals.quantile(0.6) < radius.median() < residuals.quantile(0.95)


def test_classifiers_give_probabilities_of_all_classes() -> None:
    rng = np.random.default_rng(3)
    frame = table(groups=40, rows=10)
    frame["y"] = np.where(frame["a"] + rng.normal(size=len(frame)) > 0, "yes", "no")
    model = metamodel.load_model(fit(frame, LogisticRegression()).bundle_path)
    answers = model.predict(frame, {"predict_method": "predict_proba"})
    by_pooled = answers["status"] == "pooled"
    assert by_pooled.any()
    np.testing.assert_allclose(answers["probability_no"] + answers["probability_yes"], 1)


def test_boosting_on_frames_with_texts_and_nulls_is_pooled_too() -> None:
    frame = table(groups=30, rows=12).assign(colour=lambda f: np.where(f["b"] > 0, "red", "blue"))
    features, few = [*FEATURES, "colour"], {"max_iter": 10}
    result = fit(frame, "hist_gradient_boosting", estimator_params=few, features=features, random_state=3)
    answers = metamodel.load_model(result.bundle_path).predict(frame.assign(a=np.nan))
    assert (answers["status"] == "pooled").any()
    assert answers["prediction"].notna().all()


def test_shrinkage_does_not_blend_its_answers() -> None:
    result = fit(FRAME, Ridge(), shrinkage="relative")
    model = metamodel.load_model(result.bundle_path)
    answers = model.predict(FRAME)
    rows = FRAME[answers["status"] == "pooled"]
    assert len(rows)
    key = (rows["region"].iloc[0], rows["shop"].iloc[0])
    own = rows[(rows["region"] == key[0]) & (rows["shop"] == key[1])]
    np.testing.assert_allclose(model.predict(own)["prediction"], model.child(key).predict(own[FEATURES]), rtol=1e-12)


def test_an_exception_of_the_caller_s_is_not_overruled() -> None:
    named = [{"region": "B", "shop": 0, "estimator": HistGradientBoostingRegressor(max_iter=3)}]
    ledger = fit(FRAME, overrides=named).ledger.set_index(["region", "shop"])
    assert ledger.loc[("B", 0), "status"] == "fitted"


@pytest.mark.parametrize("pooled", [True, "auto"])
def test_where_no_group_can_be_judged_nothing_changes(pooled: Any) -> None:
    result = fit(table(groups=5, rows=4), min_rows=5, pooled=pooled)  # the parents alone have enough rows
    assert set(result.ledger["status"]) == {"skipped", "fitted"}
    assert result.manifest.pooled is None


def test_where_it_answers_nobody_it_is_not_stored() -> None:
    result = fit(table(groups=6, rows=80, own_slopes=6))
    assert result.manifest.pooled is None
    assert not (result.bundle_path / "pooled").exists()
    assert result.summary["groups_pooled"] == 0


def test_without_being_asked_for_it_answers_only_where_it_is_clearly_better() -> None:
    rng = np.random.default_rng(5)
    enough = table(groups=12, rows=60).assign(y=lambda f: f["a"] + rng.normal(size=len(f)))
    statuses = {pooled: fit(enough, pooled=pooled).ledger["status"] for pooled in (True, "auto")}
    assert (statuses[True] == "pooled").any()
    assert not (statuses["auto"] == "pooled").any()
    assert (fit(FRAME, pooled="auto", random_state=3).ledger["status"] == "pooled").sum() > 30


# -------- groups that nobody knows
def crossed() -> pd.DataFrame:
    """Shops that are alike in every region: of a shop in a new region one knows much, if one knows the shop."""
    rng = np.random.default_rng(2)
    region, shop = (part.ravel() for part in np.meshgrid(np.arange(8), np.arange(8)))
    group = np.repeat(np.arange(64), 12)
    x = rng.normal(size=(len(group), 3))
    y = 20 * shop[group] + 30 * rng.normal(size=64)[group] * 0.1 + x[:, 0] + rng.normal(size=len(group))
    names = np.array([f"r{i}" for i in range(8)])
    return pd.DataFrame(x, columns=FEATURES).assign(region=names[region[group]], shop=shop[group], y=y)


def test_groups_that_nobody_knows_are_answered_where_the_group_columns_tell_something_of_them() -> None:
    frame = crossed()
    result = fit(frame, pooled="auto", interval=0.8)
    assert result.manifest.pooled is not None
    evidence = result.manifest.pooled["unknown"]
    assert evidence["error"] < 0.5 * evidence["error_global"]
    assert evidence["groups"] >= 5
    strangers = frame.iloc[:300].assign(region="new")
    answers = metamodel.load_model(result.bundle_path).predict(strangers, {"detail": True})
    assert (answers["status"] == "pooled").all()
    assert (answers["prediction"] - strangers["y"]).abs().mean() < 10  # of the global model it is about 40
    assert ((strangers["y"] > answers["lower"]) & (strangers["y"] < answers["upper"])).mean() > 0.6
    known_region = metamodel.load_model(result.bundle_path).predict(frame.head(3).assign(shop=99))
    assert (known_region["status"] == "parent:1").all()
    assert (
        metamodel.load_model(result.bundle_path).predict(strangers, {"unknown": "null"})["status"] == "unknown_group"
    ).all()


def test_of_groups_of_which_nothing_is_known_the_global_model_answers() -> None:
    rng = np.random.default_rng(4)
    frame = table(groups=40, rows=12).assign(y=lambda f: f["a"] + rng.normal(size=len(f)))
    result = metamodel.train(frame, "shop", "y", "ridge", features=FEATURES, unknown="fallback", pooled=True, n_jobs=1)
    answers = metamodel.load_model(result.bundle_path).predict(frame.head(5).assign(shop=999))
    assert (answers["status"] == "global").all()


def test_without_parents_nobody_answers_for_unknown_groups() -> None:
    result = fit(crossed(), unknown="null")
    strangers = crossed().head(4).assign(region="new")
    model = metamodel.load_model(result.bundle_path)
    assert (model.predict(strangers)["status"] == "unknown_group").all()
    assert (model.predict(strangers, {"unknown": "fallback"})["status"] == "unknown_group").all()
