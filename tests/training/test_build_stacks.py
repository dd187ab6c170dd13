"""Stacks of a bundle, built at the end of training or later: who is in them, and why others are not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler
from stacked import NAMES, keys_in_stack, training_table

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.training.build_stacks import stack_bundle


def test_an_existing_bundle_is_given_stacks_later(tmp_path):
    table = training_table()
    path = metamodel.train(
        table, ["country", "store"], "y", n_jobs=1, unknown="fallback", output_dir=tmp_path / "b", stack=False
    ).bundle_path
    before = MetaModel(path).predict(table)
    manifest = stack_bundle(path, table[table["country"] == "FR"])
    model = MetaModel(path)
    pd.testing.assert_frame_equal(model.predict(table), before)
    reasons = model.ledger.set_index(["country", "store"])["stack"].to_dict()
    assert (len(manifest.stacks), model.stats()["rows_stacked"], model.bundle.damaged_files()) == (1, 90, [])
    assert (reasons["FR", 1], reasons["DE", 1]) == ("", "no rows to compare on")


def test_a_stack_of_parents_alone_never_answers_for_their_groups(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 3))
    table = pd.DataFrame(x, columns=NAMES).assign(y=x.sum(axis=1), country=np.repeat(["FR", "DE"], 150))
    table = table.assign(store=[f"s{i}" for i in range(300)])
    options = {"n_jobs": 1, "holdout": 0, "min_rows": 100, "max_group_rows": 200, "unknown": "fallback", "stack": True}
    path = metamodel.train(table, ["country", "store"], "y", output_dir=tmp_path / "b", **options).bundle_path
    model = MetaModel(path)
    assert set(keys_in_stack(path)) == {'["DE"]', '["FR"]'}
    frame = pd.concat([table, table.assign(store="new"), table.iloc[:2].assign(country=["XX", "FR"])])
    whole = model.predict(frame, {"detail": True})
    parts = pd.concat([model.predict(frame.iloc[i : i + 50], {"detail": True}) for i in range(0, len(frame), 50)])
    pd.testing.assert_frame_equal(whole, parts)
    assert whole["status"].value_counts().to_dict() == {"parent:1": 601, "unknown_group": 1}


LINEAR_NAMES = ["lasso", "elastic_net", "huber", "poisson", "logistic_regression"]


@pytest.mark.parametrize("name", LINEAR_NAMES)
def test_children_of_a_name_that_is_scaled_are_stacked_and_answer_as_without(name):
    table = training_table().assign(a=lambda t: t["a"] * 1e4, c=lambda t: t["c"] * 1e-3)
    medians = table.groupby(["country", "store"])["y"].transform("median")
    targets = {"poisson": table["y"].abs(), "logistic_regression": table["y"] > medians}
    table["y"] = targets.get(name, table["y"])
    options = {"features": NAMES, "n_jobs": 1, "unknown": "fallback"}
    result = metamodel.train(table, ["country", "store"], "y", name, **options)
    model = MetaModel(result.bundle_path)
    assert type(model.child(("FR", 1))[0]) is StandardScaler
    assert set(result.ledger["stack"]) == {""}
    asked = pd.concat([table, table.assign(store=99)], ignore_index=True)
    answers = model.predict(asked, {"detail": True})
    alone = model.route.predict(asked, model.bundle, model.options({"detail": True}))
    assert model.stats()["rows_stacked"] == len(table)  # children of parents answer the others
    pd.testing.assert_frame_equal(answers, alone, rtol=1e-9)


def test_the_ledger_says_why_children_are_not_stacked():
    table = training_table().assign(town="north")
    options = {"n_jobs": 1, "features": NAMES}
    reasons = {
        "not asked for": {"estimator": "ridge", "stack": False},
        "no stack for KNeighborsRegressor": {"estimator": "nearest_neighbors"},
        "the children take frames": {"estimator": "ridge", "features": [*NAMES, "town"]},
    }
    for reason, changes in reasons.items():
        result = metamodel.train(table, ["country", "store"], "y", **options | changes)
        assert (set(result.ledger["stack"]), result.manifest.stacks) == ({reason}, ())


def test_a_group_without_a_child_is_in_no_stack():
    table = training_table()
    table = pd.concat([table, table.iloc[:1].assign(store=9)], ignore_index=True)
    result = metamodel.train(table, ["country", "store"], "y", n_jobs=1)
    assert result.ledger.set_index("store").loc[9, "stack"] == "no child"
    assert len(result.manifest.stacks) == 1
    assert len(keys_in_stack(result.bundle_path)) == 6
