"""Held-out rows with what is answered: groups whose child was pruned are watched by what their parent says of them."""

import numpy as np
import pandas as pd
import pytest
from monitored import alike, with_pruned

import metamodel
from metamodel.bundle.monitored.stored_reference import read_drift
from metamodel.evaluation.drift.drift_reference import ERROR, PREDICTION
from metamodel.tables.keys import KeyColumn, KeySchema, encode_keys
from metamodel.training.monitored.watched_groups import answered_rows, watched_groups

SCHEMA = KeySchema((KeyColumn("country", "string"), KeyColumn("shop", "integer")), "group")


def test_each_row_gets_what_is_said_by_who_answers_its_group() -> None:
    held = pd.DataFrame(
        {
            "key": pd.Categorical(["a", "b", "c", "d", "e"]),
            "predicted": [1.0, 2.0, 3.0, 4.0, 5.0],
            "predicted_by_pooled": [10.0, 20.0, 30.0, 40.0, 50.0],
            "predicted_by_global": [-1.0, -2.0, -3.0, -4.0, -5.0],
        }
    )

    answered = answered_rows(held, {"a": "child", "b": "pooled", "c": "global", "d": "parent:1"})

    assert answered["predicted"].to_list()[:3] == [1.0, 20.0, -3.0]
    assert np.isnan(answered["predicted"][3])  # nobody knows what that parent said
    assert answered["predicted"][4] == 5.0
    assert held["predicted"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_no_row_is_no_matter() -> None:
    held = pd.DataFrame({"key": pd.Categorical([]), "predicted": []})

    assert not len(answered_rows(held, {"a": "global"}))


def test_groups_that_were_never_fitted_or_are_answered_by_nobody_are_not_watched() -> None:
    ledger = pd.DataFrame(
        {
            "country": [None, "DE", "DE", "DE", "FR", "FR", "DE"],
            "shop": pd.array([None, None, 1, 2, 3, 4, 5], dtype="Int64"),
            "level": [0, 1, 2, 2, 2, 2, 2],
            "status": ["failed", "fitted", "fitted", "skipped", "failed", "pooled", "skipped"],
            "reason": ["", "", "", "pruned: mean error 2, 1 of parent:1, on 9 rows", "", "pooled: ...", "3 rows"],
        }
    )

    watched = watched_groups(ledger, SCHEMA, (1, 0))

    child, pruned, pooled = encode_keys([("DE", 1), ("DE", 2), ("FR", 4)])
    assert watched == {child: "child", pruned: "parent:1", pooled: "pooled"}


@pytest.fixture(scope="module")
def result() -> metamodel.TrainingResult:
    return with_pruned()


def test_the_reference_of_a_pruned_group_is_its_own_rows_and_its_parents_errors(
    result: metamodel.TrainingResult,
) -> None:
    stored = read_drift(metamodel.MetaModel(result.bundle_path).bundle)
    assert stored is not None
    keys, reference = stored
    children = result.ledger[result.ledger["level"] == 2]
    pruned = children[children["status"] == "skipped"]
    assert 0 < len(pruned) < len(children) == len(keys) == 12

    for country, shop in zip(pruned["country"], pruned["shop"], strict=True):
        place = keys.index(f'["{country}",{shop}]')
        held = result.holdout[result.holdout["key"] == keys[place]]
        said = held["predicted_by_level_1"]
        moments = {
            name: reference.moments[place, reference.place[reference.columns.index(name)], 0]
            for name in (PREDICTION, ERROR)
        }
        np.testing.assert_allclose(moments[PREDICTION], said.mean(), rtol=1e-5)
        np.testing.assert_allclose(moments[ERROR], (held["actual"] - said).mean(), rtol=1e-5)
        assert not np.isclose(said.mean(), held["predicted"].mean(), rtol=1e-6)


def test_an_update_takes_over_the_reference_of_a_pruned_group(result: metamodel.TrainingResult) -> None:
    children = result.ledger[result.ledger["level"] == 2]
    pruned, fitted = children[children["status"] == "skipped"], children[children["status"] == "fitted"].iloc[0]

    second = metamodel.update(
        metamodel.MetaModel(result.bundle_path), alike(8, 5), retrain=["listed"],
        retrain_list=[(fitted["country"], fitted["shop"])], n_jobs=1, challenge=False,
    )  # fmt: skip

    before, after = (read_drift(metamodel.MetaModel(one.bundle_path).bundle) for one in (result, second))
    assert before is not None
    assert after is not None
    for key in encode_keys(zip(pruned["country"], pruned["shop"].astype(int), strict=True)):
        old, new = (one[1].take(np.array([one[0].index(key)])).to_arrays() for one in (before, after))
        for name, array in old.items():
            np.testing.assert_array_equal(array, new[name], err_msg=name)
