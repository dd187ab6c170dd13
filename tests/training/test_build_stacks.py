"""Stacks of a bundle, built at the end of training or later: who is in them, and why others are not."""

import numpy as np
import pandas as pd
from stacked import NAMES, training_table

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
    assert set(pd.read_parquet(path / "stacks" / "00000.keys.parquet")["key"]) == {'["DE"]', '["FR"]'}
    frame = pd.concat([table, table.assign(store="new"), table.iloc[:2].assign(country=["XX", "FR"])])
    whole = model.predict(frame, {"detail": True})
    parts = pd.concat([model.predict(frame.iloc[i : i + 50], {"detail": True}) for i in range(0, len(frame), 50)])
    pd.testing.assert_frame_equal(whole, parts)
    assert whole["status"].value_counts().to_dict() == {"parent:1": 601, "unknown_group": 1}
