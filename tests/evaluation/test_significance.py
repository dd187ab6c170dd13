"""Child against parent on the same held-out rows: the tests are SciPy's, and the verdicts follow from them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metamodel.evaluation.significance import adjusted, compare_with_parents, paired_p_values

RNG = np.random.default_rng(0)
FITTED = frozenset({("a",), ("b",), ()})


def held(errors: dict[str, tuple[list[float], list[float]]], **more: object) -> pd.DataFrame:
    """Rows of a child and of the global model that miss 10 by these errors."""
    parts = [
        pd.DataFrame(
            {
                "key": f'["{key}"]',
                "actual": 10.0,
                "predicted": np.add(10, own),
                "predicted_by_global": np.add(10, parent),
            }
        )
        for key, (own, parent) in errors.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(**more).astype({"key": "category"})


@given(st.lists(st.integers(2, 30), min_size=1, max_size=5), st.integers(0, 2**31))
def test_p_values_of_many_groups_are_those_of_scipys_paired_t_test(sizes, seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(range(len(sizes)), sizes)
    differences = rng.normal(0.3, 1, len(groups))
    found = paired_p_values(differences, groups, len(sizes), exact=False)
    expected = [stats.ttest_1samp(differences[groups == g], 0).pvalue for g in range(len(sizes))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40))
def test_p_values_of_labels_are_those_of_mcnemars_exact_test(differences):
    found = paired_p_values(np.array(differences), np.zeros(len(differences), dtype=int), 1, exact=True)
    better, worse = differences.count(1.0), differences.count(-1.0)
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    np.testing.assert_allclose(found, [expected])


@given(st.lists(st.integers(2, 30), min_size=1, max_size=5), st.integers(0, 2**31), st.floats(0.01, 100))
def test_equal_weights_give_the_plain_test(sizes, seed, weight):
    groups = np.repeat(range(len(sizes)), sizes)
    differences = np.random.default_rng(seed).normal(0.3, 1, len(groups))
    plain, weighted = (
        paired_p_values(differences, groups, len(sizes), exact=False, weights=weights)
        for weights in (None, np.full(len(groups), weight))
    )
    np.testing.assert_allclose(weighted, plain, rtol=1e-9)


def test_a_few_heavy_rows_are_few():
    differences, groups = RNG.normal(1, 1, 40), np.zeros(40, dtype=int)
    weights = np.where(np.arange(40) < 2, 1e6, 1e-6)
    found = paired_p_values(differences, groups, 1, exact=False, weights=weights)
    np.testing.assert_allclose(found, [stats.ttest_1samp(differences[:2], 0).pvalue], rtol=1e-6)


def test_weights_decide_who_is_better_and_rows_without_weight_do_not_count():
    noise = RNG.uniform(0.9, 1.1, 30)
    errors = {"a": (noise * np.repeat([1, 3], 15), noise * np.repeat([3, 1], 15))}
    heavy = compare_with_parents(held(errors, weight=np.repeat([2.0, 1.0], 15)), "regression", FITTED)
    dropped = compare_with_parents(held(errors, weight=np.repeat([0.0, 1.0], 15)), "regression", FITTED)
    assert heavy["error_saved"].item() == pytest.approx(1 - 5 / 7, abs=0.05)
    assert (dropped["compared_rows"].item(), dropped["better_than_parent"].item()) == (15, "no")
    assert compare_with_parents(held(errors, weight=0.0), "regression", FITTED).empty


def test_weighted_labels_go_by_their_weights():
    rows = held({"a": (np.repeat([0.0, 1.0], 10), np.repeat([1.0, 0.0], 10))}, weight=np.repeat([1.0, 99.0], 10))
    found = compare_with_parents(rows, "classification", FITTED)
    assert found["error_saved"].item() == pytest.approx(1 - 99)
    assert found["better_than_parent"].item() == "no"


def test_differences_that_do_not_vary_are_judged_by_their_signs():
    found = paired_p_values(np.full(5, 0.1), np.zeros(5, dtype=int), 1, exact=False)
    np.testing.assert_allclose(found, [2 * 0.5**5])


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=30))
def test_p_values_are_adjusted_by_the_step_up_of_benjamini_and_hochberg(p_values):
    found, known = adjusted(np.array(p_values)), np.sort([p for p in p_values if p == p])
    for p, q in zip(p_values, found, strict=True):
        behind = [len(known) * other / (i + 1) for i, other in enumerate(known) if other >= p]
        np.testing.assert_allclose(q, min([1.0, *behind]) if p == p else np.nan)


def test_of_many_children_that_are_no_different_hardly_one_is_called_so():
    rng = np.random.default_rng(0)
    errors = {str(i): tuple(rng.exponential(size=(2, 30)).tolist()) for i in range(1000)}
    found = compare_with_parents(held(errors), "regression", frozenset({(), *((key,) for key in errors)}))
    assert (found["p_value"] < 0.05).sum() > 30
    assert found["better_than_parent"].eq("undecided").all()


def test_a_group_without_rows_has_no_p_value():
    assert np.isnan(paired_p_values(np.ones(2), np.zeros(2, dtype=int), 2, exact=False)[1])


def test_a_child_that_misses_by_less_is_better_and_says_how_much_it_saves():
    noise = RNG.uniform(0.9, 1.1, 20)
    found = compare_with_parents(held({"a": (noise, 2 * noise), "b": (3 * noise, noise)}), "regression", FITTED)
    assert found["better_than_parent"].tolist() == ["yes", "no"]
    np.testing.assert_allclose(found["error_saved"], [0.5, -2.0])
    np.testing.assert_allclose(found["error_saved_global"], [0.5, -2.0])
    assert found["compared_rows"].tolist() == [20, 20]


def test_a_few_rows_leave_it_undecided():
    found = compare_with_parents(held({"a": ([1.0, 2.0], [2.0, 2.5])}), "regression", FITTED)
    assert found["better_than_parent"].tolist() == ["undecided"]


def test_rows_that_the_parent_has_seen_do_not_count():
    rows = held({"a": ([1.0] * 10, [3.0] * 10)})
    rows.loc[4:, "predicted_by_global"] = np.nan
    assert compare_with_parents(rows, "regression", FITTED)["compared_rows"].tolist() == [4]


def test_the_nearest_fitted_parent_is_the_one_to_beat():
    rows = held({"a": ([1.0] * 4, [4.0] * 4)}, predicted_by_level_1=12.0).assign(key=pd.Categorical(['["a","x"]'] * 4))
    near = compare_with_parents(rows, "regression", frozenset({("a",), ()}))
    far = compare_with_parents(rows, "regression", frozenset({()}))
    assert (near["error_saved"].tolist(), far["error_saved"].tolist()) == ([0.5], [0.75])
    assert near["error_saved_global"].tolist() == [0.75]


def test_without_a_parent_nothing_is_compared():
    assert compare_with_parents(held({"a": ([1.0], [2.0])}), "regression", frozenset({("a",)})).empty


def test_wrong_labels_are_counted():
    rows = pd.DataFrame(
        {
            "key": pd.Categorical(['["a"]'] * 8),
            "actual": ["x"] * 8,
            "predicted": ["x"] * 8,
            "predicted_by_global": ["y"] * 8,
        }
    )
    found = compare_with_parents(rows, "classification", FITTED).loc['["a"]']
    assert (found["error_saved"], found["better_than_parent"]) == (1.0, "yes")
    assert found["p_value"] == pytest.approx(stats.binomtest(8, 8).pvalue)
