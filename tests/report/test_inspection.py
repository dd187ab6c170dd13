"""What `inspect` finds: the worst groups first, the groups without a child, one child and its ledger row."""

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import LinearSVC

import metamodel
from metamodel.exceptions import InvalidKey, UnknownGroup
from metamodel.report.inspection import one_group, overview


@pytest.fixture(scope="module")
def model() -> metamodel.MetaModel:
    """Groups (country, store) whose noise grows with the store, one with a null country, one with a single row."""
    rng = np.random.default_rng(0)
    country = np.repeat(np.array(["FR", "FR", "DE", None], dtype=object), 40)
    store = np.repeat([1, 2, 3, 4], 40)
    x = rng.normal(size=160)
    frame = pd.DataFrame({"country": country, "store": store, "x": x, "y": x + store**3 * rng.normal(size=160)})
    lonely = pd.DataFrame({"country": ["IT"], "store": [9], "x": [0.0], "y": [0.0]})
    table = pd.concat([frame, lonely], ignore_index=True)
    result = metamodel.train(
        table, ["country", "store"], "y", unknown="fallback", prune=False, null_keys="group", n_jobs=1
    )
    return metamodel.MetaModel(result.bundle_path)


def test_overview_shows_the_worst_groups_first(model: metamodel.MetaModel):
    worst = overview(model, worst=2)["worst_groups"]

    assert worst["store"].tolist() == [4, 3]
    assert worst["holdout_rmse"].is_monotonic_decreasing


def test_overview_says_what_the_data_checks_found(model: metamodel.MetaModel):
    frame = pd.DataFrame({"g": np.repeat([1, 2], 10), "x": 1.0, "y": np.sqrt(np.arange(20.0))})
    found = metamodel.train(frame, "g", "y", n_jobs=1)
    (finding,) = found.findings
    assert overview(metamodel.MetaModel(found.bundle_path), 1)["data_checks"] == {"constant of x": finding.message}
    assert "data_checks" not in overview(model, 1)


def test_without_a_holdout_the_worst_groups_are_those_of_the_training_metric():
    frame = pd.DataFrame({"g": np.repeat([1, 2, 3], 20), "x": np.tile(np.arange(20.0), 3)})
    frame["y"] = frame["x"] + frame["g"] * np.tile([-1.0, 1.0], 30)
    result = metamodel.train(frame, "g", "y", holdout=0, n_jobs=1)

    facts = overview(metamodel.MetaModel(result.bundle_path), worst=2)

    assert facts["model"]["worst groups by"] == "train_rmse"
    assert facts["worst_groups"]["g"].tolist() == [3, 2]


def test_classifiers_without_probabilities_are_judged_by_accuracy():
    x = np.tile(np.arange(40.0), 2)
    label = np.where((x > 20) ^ (np.repeat([0, 1], 40) * (x % 3 == 0)).astype(bool), "a", "b")
    frame = pd.DataFrame({"g": np.repeat([1, 2], 40), "x": x, "y": label})
    result = metamodel.train(frame, "g", "y", LinearSVC(), n_jobs=1)

    facts = overview(metamodel.MetaModel(result.bundle_path), worst=2)

    assert facts["model"]["worst groups by"] == "holdout_accuracy"
    assert facts["worst_groups"]["g"].tolist() == [2, 1]


def test_overview_counts_the_groups_without_their_parents(model: metamodel.MetaModel):
    facts = overview(model, worst=10)

    assert facts["groups"] == {"fitted": 4, "skipped": 1}
    assert facts["model"]["group columns"] == "country (string), store (integer)"
    assert facts["model"]["target"] == "y (regression)"
    assert facts["model"]["estimators"] == "Ridge"
    assert facts["groups_without_child"][["country", "store", "status"]].to_numpy().tolist() == [["IT", 9, "skipped"]]


@pytest.mark.parametrize(
    ("key", "level", "rows"),
    [(("FR", 2), 2, 40), (("FR", 2.0), 2, 40), ((None, 4), 2, 40), (("FR",), 1, 80), ((None,), 1, 40), ((), 0, 161)],
)
def test_one_group_comes_with_its_own_ledger_row(model: metamodel.MetaModel, key: tuple, level: int, rows: int):
    facts = one_group(model, key)

    assert (facts["ledger"]["level"], facts["ledger"]["rows"]) == (level, rows)
    assert facts["child"] == "Ridge(random_state=0)"


def test_a_group_without_a_child_comes_with_the_ledger_row_that_says_why(model: metamodel.MetaModel):
    facts = one_group(model, ("IT", 9))

    assert facts["child"] is None
    assert (facts["ledger"]["status"], facts["ledger"]["rows"]) == ("skipped", 1)
    assert facts["ledger"]["reason"].startswith("min_rows")


def test_a_group_that_was_never_seen_is_an_error_that_names_the_nearest(model: metamodel.MetaModel):
    with pytest.raises(UnknownGroup, match=r"No child model for group \('IT', 8\).*Did you mean 'IT · 9'\?"):
        one_group(model, ("IT", 8))


def test_a_key_of_the_wrong_kind_is_refused(model: metamodel.MetaModel):
    with pytest.raises(InvalidKey, match="Group column 'store' holds integers"):
        one_group(model, ("FR", "2"))


def test_it_says_how_large_what_later_rows_are_compared_with_is() -> None:
    rows = pd.DataFrame({"shop": np.repeat([1, 2], 20), "price": np.arange(40.0), "sales": np.arange(40.0)})
    without, with_one = (
        overview(metamodel.MetaModel(metamodel.train(rows, "shop", "sales", n_jobs=1, reference=kept).bundle_path), 1)[
            "model"
        ]
        for kept in (False, True)
    )
    assert without["reference for monitoring"] == "none"
    assert with_one["reference for monitoring"].endswith(" kB")
