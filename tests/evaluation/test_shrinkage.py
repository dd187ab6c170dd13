"""Weights of the levels of a group: scikit-lego's, to the last digit that matters, for every method it has."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.datasets import make_store_sales
from metamodel.evaluation.shrinkage import Shrinkage
from metamodel.exceptions import InputError

SIZES = st.lists(st.integers(1, 10**6), min_size=1, max_size=5).map(lambda sizes: sorted(sizes, reverse=True))
METHODS = st.one_of(
    st.builds(lambda alpha: Shrinkage("constant", {"alpha": alpha}), st.floats(0, 1)),
    st.builds(lambda least: Shrinkage("min_n_obs", {"min_n_obs": least}), st.integers(1, 10**6)),
    st.sampled_from([Shrinkage("equal"), Shrinkage("relative"), Shrinkage(np.sqrt)]),
)


# -------- what always holds
@given(METHODS, SIZES)
def test_there_is_one_weight_a_level_and_they_sum_to_1(shrinkage, sizes):
    weights = shrinkage.weights(sizes)
    assert weights.shape == (len(sizes),)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights >= 0).all()


@given(SIZES)
def test_equal_is_the_mean(sizes):
    assert Shrinkage("equal").weights(sizes).tolist() == [1 / len(sizes)] * len(sizes)


@given(METHODS, st.integers(1, 10**6))
def test_the_global_model_stands_alone(shrinkage, rows):
    assert shrinkage.weights([rows]).tolist() == [1]


@given(SIZES, st.integers(1, 10**6))
def test_min_n_obs_is_the_smallest_level_with_enough_rows(sizes, least):
    chosen = Shrinkage("min_n_obs", {"min_n_obs": least}).weights(sizes).tolist().index(1)
    enough = [i for i, rows in enumerate(sizes) if rows >= least]
    assert chosen == (enough[-1] if enough else 0)


def test_alpha_is_the_share_of_the_blended_parent():
    def blended(predictions, alpha):
        return predictions[0] if len(predictions) == 1 else _mixed(predictions, alpha)

    def _mixed(predictions, alpha):
        return alpha * blended(predictions[:-1], alpha) + (1 - alpha) * predictions[-1]

    weights = Shrinkage("constant", {"alpha": 0.3}).weights([1000, 100, 10, 1])
    assert weights @ [5.0, 7.0, -2.0, 11.0] == pytest.approx(blended([5.0, 7.0, -2.0, 11.0], 0.3))


# -------- scikit-lego
PANEL = make_store_sales(n_stores=4, n_products=3, n_weeks=30, broken=False)
FEATURES = ["price", "promotion", "season_sin", "season_cos", "trend"]
GROUPS = ["country", "store", "product"]
CASES = [
    ("constant", {"alpha": 0.3}),
    ("equal", None),
    ("min_n_obs", {"min_n_obs": 40}),
    ("relative", None),
    (lambda sizes, power=1.0: np.asarray(sizes, dtype=float) ** power, {"power": -0.5}),
]
NAMES = [case[0] if isinstance(case[0], str) else "function" for case in CASES]


def uneven():
    """Leave different numbers of rows in the groups."""
    keep = np.random.default_rng(0).random(len(PANEL)) < 0.4 + 0.5 * (PANEL["store"] % 2)
    return PANEL[keep].reset_index(drop=True)


TABLE = uneven()


@pytest.mark.parametrize(("method", "params"), CASES, ids=NAMES)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_predictions_are_those_of_scikit_lego(method, params, depth):
    from sklego.meta import HierarchicalRegressor

    groups = GROUPS[:depth]
    columns = [*groups, *FEATURES]
    theirs = HierarchicalRegressor(LinearRegression(), groups, shrinkage=method, shrinkage_kwargs=params)
    theirs.fit(TABLE[columns], TABLE["units"])
    result = metamodel.train(
        TABLE, groups, "units", LinearRegression(), features=FEATURES, shrinkage=method, shrinkage_params=params,
        unknown="fallback", duplicates="keep", n_jobs=1,
    )  # fmt: skip
    model = metamodel.load_model(result.bundle_path)

    known = TABLE.iloc[::7]
    answers = model.predict(known)
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], theirs.predict(known[columns]), rtol=1e-9, atol=1e-9)

    # Groups that training has not seen are answered by their parent, blended with its own parents.
    strange = known.assign(**{groups[-1]: "P999" if groups[-1] == "product" else "XX" if depth == 1 else 999})
    answers = model.predict(strange)
    assert set(answers["status"]) == {f"parent:{depth - 1}" if depth > 1 else "global"}
    np.testing.assert_allclose(answers["prediction"], theirs.predict(strange[columns]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("method", "params"), CASES[:4], ids=NAMES[:4])
def test_predictions_are_those_of_scikit_legos_grouped_regressor_too(method, params):
    from sklego.meta import GroupedRegressor

    columns = [*GROUPS[:2], *FEATURES]
    theirs = GroupedRegressor(LinearRegression(), GROUPS[:2], shrinkage=method, shrinkage_kwargs=params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(TABLE[columns], TABLE["units"])
        expected = theirs.predict(TABLE[columns])
    result = metamodel.train(
        TABLE, GROUPS[:2], "units", LinearRegression(), features=FEATURES, shrinkage=method, shrinkage_params=params,
        duplicates="keep", n_jobs=1,
    )  # fmt: skip
    answers = metamodel.load_model(result.bundle_path).predict(TABLE)
    np.testing.assert_allclose(answers["prediction"], expected, rtol=1e-9, atol=1e-9)


# -------- bad input
@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("median", None, r"shrinkage='median' is unknown\. Use one of: constant, equal, min_n_obs, relative, or a"),
        (3, None, "shrinkage=3 is unknown"),
        (None, {"alpha": 0.5}, "belong to no method"),
        ("constant", None, "takes exactly the argument alpha, not {}"),
        ("constant", {"alpha": 0.5, "beta": 1}, "takes exactly the argument alpha"),
        ("equal", {"alpha": 0.5}, "takes no arguments"),
        ("constant", {"alpha": 1.5}, r"alpha=1\.5 is no share"),
        ("constant", {"alpha": True}, "alpha=True is no share"),
        ("min_n_obs", {"min_n_obs": 0}, "min_n_obs=0 is no row count"),
        ("min_n_obs", {"min_n_obs": "many"}, "min_n_obs='many' is no row count"),
        ("constant", [0.5], r"shrinkage_params=\[0\.5\] is no dict"),
        (lambda sizes: sizes[:-1], None, r"<lambda> returned array\(\[\].*\) for \[10\]\. Return one finite weight"),
        (lambda sizes: [1e308] * len(sizes), None, r"returned array\(\[1.e\+308, 1.e\+308, 1.e\+308\]\)"),
        (lambda sizes: [1.0, -1.0 + 1e-9, 0.0][: len(sizes)], None, r"returned array\(.*with a sum that is not 0"),
        (lambda sizes: [np.nan for _ in sizes], None, r"<lambda> returned array\(\[nan\]\)"),
        (lambda sizes: [0 for _ in sizes], None, "with a sum that is not 0"),
        (lambda sizes: 1 / 0, None, r"failed for \[10\]: ZeroDivisionError"),
        (np.sqrt, {"power": 2}, r"numpy.*sqrt failed for \[10\]: TypeError"),
    ],
)
def test_what_is_no_shrinkage_is_refused_in_one_line(method, params, message):
    with pytest.raises(InputError, match=message):
        Shrinkage.create(method, params)


@pytest.mark.parametrize("nothing", [None, ""])
def test_none_is_no_shrinkage(nothing):
    assert Shrinkage.create(nothing) is None


def refused(**options):
    return metamodel.train(TABLE, GROUPS, **({"target": "units", "features": FEATURES, "n_jobs": 1} | options))


def test_a_classification_is_refused():
    table = TABLE.assign(sold=np.where(TABLE["units"] > 100, "much", "little"))
    with pytest.raises(InputError, match="shrinkage='equal' blends numbers, but the target 'sold' makes this a classi"):
        metamodel.train(table, GROUPS, "sold", "gaussian_nb", features=FEATURES, shrinkage="equal")


def test_more_rows_than_there_are_are_refused():
    with pytest.raises(InputError, match=r"min_n_obs=100,000 is more than the [\d,]+ rows of the table"):
        refused(shrinkage="min_n_obs", shrinkage_params={"min_n_obs": 100_000})


def test_a_function_that_fails_for_a_group_is_refused_before_anything_is_fitted():
    def odd(sizes):
        if len(sizes) == 4 and sizes[-1] < 20:
            raise ValueError("too few")
        return sizes

    with pytest.raises(InputError, match=r"odd failed for \[\d+, \d+, \d+, \d+\]: ValueError\('too few'\)"):
        refused(shrinkage=odd, estimator=Hopeless())


class Hopeless(LinearRegression):
    """Must not be fitted."""

    def fit(self, x, y):
        raise AssertionError("fitted")


def test_a_group_column_with_the_name_of_a_new_ledger_column_is_refused():
    table = TABLE.rename(columns={"product": "weights"})
    with pytest.raises(InputError, match="Group column 'weights' has the name of a ledger column"):
        metamodel.train(table, ["store", "weights"], "units", shrinkage="equal")
