"""`split_groups`: rows of one value never lie on both sides of a split, whoever splits and on whatever engine."""

import numpy as np
import pandas as pd
import pytest
from seen_before import SeenBefore
from sklearn import config_context
from sklearn.linear_model import LassoCV, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import metamodel
from metamodel import InputError


def visits(n: int = 240) -> pd.DataFrame:
    """Visits of patients to two clinics; a patient may visit both."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"clinic": np.repeat(["north", "south"], n // 2), "patient": rng.integers(0, 14, n)})
    frame["dose"] = rng.normal(size=n)
    frame["effect"] = 2 * frame["dose"] + rng.normal(size=14)[frame["patient"]] + rng.normal(size=n) / 10
    return frame.assign(nothing=0.0)


def _train(frame, estimator, target="nothing", features=("patient", "dose"), **options):
    options = {"n_jobs": 1, "duplicates": "keep", "split_groups": "patient"} | options
    return metamodel.train(frame, ["clinic"], target, estimator, features=features, **options)


@pytest.mark.filterwarnings("ignore:Target")
@pytest.mark.parametrize(
    ("split", "folds"),
    [
        ("holdout", 1),
        ("kfold:4", 4),
        ("shuffle:3", 3),
        ("leave_one_group_out", 14),
        (GroupKFold(3), 3),
        (GroupShuffleSplit(2, test_size=0.3), 2),
        (LeaveOneGroupOut(), 14),
    ],
    ids=str,
)
def test_no_held_out_row_is_of_a_value_that_the_fit_has_seen(split, folds):
    ledger = _train(visits(), SeenBefore(), split=split, unknown="fallback", prune=False).ledger
    assert ledger["holdout_mae"].tolist() == [0.0] * 3
    assert ledger["folds"].tolist() == [folds] * 3
    without = {"split": "holdout" if not isinstance(split, str) or "group" in split else split, "split_groups": None}
    assert (_train(visits(), SeenBefore(), **without).ledger["holdout_mae"] > 0.9).all()


def test_a_fit_that_takes_groups_gets_the_columns_own_values():
    model = metamodel.load_model(_train(visits(), SeenBefore()).bundle_path)
    assert model.child(("north",)).had_groups_
    model = metamodel.load_model(_train(visits(), SeenBefore(), split_groups=None).bundle_path)
    assert not model.child(("north",)).had_groups_


@pytest.mark.parametrize(
    "estimator",
    [
        GridSearchCV(Ridge(), {"alpha": [0.1, 100.0]}, cv=GroupKFold(3)),
        LassoCV(cv=GroupKFold(3), alphas=[0.01, 0.5, 2.0]),
        LassoCV(cv=GroupShuffleSplit(3, random_state=1), alphas=[0.01, 0.5, 2.0]),
    ],
    ids=str,
)
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_an_estimator_that_splits_inside_chooses_as_by_hand(estimator, in_pipeline):
    frame = visits()
    whole = make_pipeline(StandardScaler(), estimator) if in_pipeline else estimator
    model = metamodel.load_model(_train(frame, whole, "effect", ["dose"]).bundle_path)
    north = frame[frame["clinic"] == "north"]
    x = north[["dose"]].to_numpy()
    x = StandardScaler().fit_transform(x) if in_pipeline else x
    with config_context(enable_metadata_routing=True):
        by_hand = estimator.fit(x, north["effect"].to_numpy(), groups=north["patient"].to_numpy())
    assert np.allclose(model.predict(north)["prediction"], by_hand.predict(x), rtol=1e-12)


def test_weights_go_along_where_groups_are_routed():
    frame = visits().assign(weight=np.random.default_rng(1).uniform(0.5, 3, 240))
    estimator = make_pipeline(StandardScaler(), LassoCV(cv=GroupKFold(3), alphas=[0.01, 0.5]))
    model = metamodel.load_model(_train(frame, estimator, "effect", ["dose"], sample_weight="weight").bundle_path)
    north = frame[frame["clinic"] == "north"]
    x = StandardScaler().fit_transform(north[["dose"]].to_numpy())
    with config_context(enable_metadata_routing=True):
        by_hand = LassoCV(cv=GroupKFold(3), alphas=[0.01, 0.5]).fit(
            x, north["effect"].to_numpy(), sample_weight=north["weight"].to_numpy(), groups=north["patient"].to_numpy()
        )
    assert model.child(("north",))[-1].alpha_ == by_hand.alpha_
    assert np.allclose(model.predict(north)["prediction"], by_hand.predict(x), rtol=1e-12)


def test_spark_splits_as_this_machine_does(spark):
    frame = visits()
    here = _train(frame, "ridge", "effect", ["dose"], split="kfold:3").ledger
    on_spark = _train(spark.createDataFrame(frame), "ridge", "effect", ["dose"], split="kfold:3", engine="spark").ledger
    assert np.allclose(on_spark["holdout_rmse"], here["holdout_rmse"], rtol=1e-12)


def test_groups_inside_without_a_column_of_them_are_refused_before_any_fit():
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=GroupKFold(4))
    with pytest.raises(InputError, match=r"^GridSearchCV splits by groups \(cv=GroupKFold\(.+ Name the column"):
        _train(visits(), search, "effect", ["dose"], split_groups=None)


def test_rows_that_do_not_say_with_whom_they_belong_are_refused_also_by_spark(spark):
    frame = visits().astype({"patient": object})
    frame.loc[[5, 9], "patient"] = None
    message = r"^split_groups column 'patient' has 2 missing values, and nothing says with which rows those belong"
    with pytest.raises(InputError, match=message):
        _train(frame, "ridge", "effect", ["dose"])
    rows = spark.createDataFrame(frame.astype({"patient": "Float64"}))
    with pytest.raises(InputError, match=message):
        _train(rows, "ridge", "effect", ["dose"], engine="spark")
