"""Held-out predictions of all levels become one table, in which every row meets its parents' predictions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import metamodel
from metamodel.bundle.diagnostics import (
    HOLDOUT_NAME,
    IMPORTANCE_NAME,
    Evidence,
    EvidenceBuilder,
    gather_holdouts,
    gather_importance,
)
from metamodel.bundle.reader import Bundle
from metamodel.evaluation.holdout import HeldOut, child_ids, kept_share
from metamodel.evaluation.importance import Importance
from metamodel.tables.keys import encode_key

RNG = np.random.default_rng(0)


def held(rows, predicted, times=None):
    rows = np.asarray(rows, dtype=np.uint64)
    return HeldOut.of(rows, rows.astype(float), np.asarray(predicted), None if times is None else np.asarray(times))


def evidence():
    builder = EvidenceBuilder()
    builder.add(0, held([2, 1], [20, 10]), Importance(np.array([0.2, 0.8]), np.array([np.nan, 3.0])))
    builder.add(1, None, None)
    builder.add(2, held([1, 1, 3], [7, 7, 9]), None)
    return builder.finish()


def table():
    x = RNG.normal(size=(300, 2))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(g=np.repeat(["p", "q", "r"], 100), h=np.arange(300) // 50)
    return frame.assign(y=x @ [1.0, 2.0] + frame["h"] + RNG.normal(size=300), t=np.arange(300) % 50)


@pytest.mark.parametrize("via", ["files", "bytes"])
def test_evidence_survives_its_journey(via, tmp_path):
    before = evidence()
    before.write(tmp_path / "task.json")
    after = Evidence.read(tmp_path / "task.json") if via == "files" else Evidence.from_bytes(*before.to_bytes())
    assert str(after.holdout.to_pydict()) == str(before.holdout.to_pydict())
    assert str(after.importance.to_pydict()) == str(before.importance.to_pydict())


def test_nothing_is_written_where_there_is_no_evidence(tmp_path):
    empty = EvidenceBuilder().finish()
    empty.write(tmp_path / "task.json")
    assert list(tmp_path.iterdir()) == []
    assert Evidence.read(tmp_path / "task.json") == empty == Evidence.from_bytes(*empty.to_bytes())


def test_a_childs_rows_meet_what_their_parent_said():
    found = gather_holdouts([(['["b"]', '["a"]', "[]"], evidence().holdout)], 1, [0])[1]
    assert found["key"].tolist() == ['["b"]', '["b"]']
    assert found["row"].tolist() == [1, 2]
    assert found["predicted"].tolist() == [10.0, 20.0]
    np.testing.assert_array_equal(found["predicted_by_global"], [7.0, np.nan])


def test_a_parents_own_rows_say_of_which_group_they_are():
    groups = child_ids([("a",), ("b",)])
    builder = EvidenceBuilder()
    rows = np.array([5, 3, 4], dtype=np.uint64)
    builder.add(0, HeldOut(rows, rows * 1.0, rows * 2.0, children=groups[[0, 1, 0]]), None)
    with_groups = ([encode_key(())], builder.finish().holdout)
    found = gather_holdouts([with_groups, (['["a"]'], _one(5))], 1, [0], of_parents=True)
    assert found[0].columns.tolist() == ["key", "row", "child", "actual", "predicted"]
    assert found[0]["row"].tolist() == [3, 4, 5]
    assert found[0]["child"].tolist() == groups[[1, 0, 0]].tolist()
    assert found[1].columns.tolist() == ["key", "row", "actual", "predicted", "predicted_by_global"]
    assert found[1]["predicted_by_global"].tolist() == [10.0]


def test_groups_of_many_tasks_have_one_order():
    parts = [([f'["{name}"]'], _one(i)) for i, name in enumerate("cab")]
    assert gather_holdouts(parts, 1, [])[1]["key"].tolist() == ['["a"]', '["b"]', '["c"]']


def _one(row):
    builder = EvidenceBuilder()
    builder.add(0, held([row], [row]), None)
    return builder.finish().holdout


def test_without_evidence_the_tables_are_empty():
    found = gather_holdouts([(["[]"], None)], 1, [0], of_parents=True)
    assert list(found) == [1, 0]
    assert found[0].empty
    assert found[1].empty
    assert gather_importance([(["[]"], None)], ["a"]).empty


def test_importances_carry_the_features_names_and_levels():
    found = gather_importance([(['["b"]', '["a"]', "[]"], evidence().importance)], ["price", "size"])
    assert found.astype({"key": str, "feature": str}).to_dict("list")["feature"] == ["size", "price"]
    assert found["level"].tolist() == [1, 1]


def test_every_level_predicted_without_having_seen_the_row():
    frame = table()
    result = metamodel.train(
        frame, ["g", "h"], "y", LinearRegression(), features=["a", "b"], unknown="fallback", prune=False, n_jobs=1
    )
    rows = result.holdout
    assert len(rows) > 30
    assert rows[["predicted_by_level_1", "predicted_by_global"]].notna().all(axis=None)
    held_out = frame[frame["y"].isin(rows["actual"])]
    seen = frame.drop(held_out.index)
    said = LinearRegression().fit(seen[["a", "b"]], seen["y"]).predict(held_out[["a", "b"]])
    expected = dict(zip(held_out["y"], said, strict=True))
    np.testing.assert_allclose(rows["predicted_by_global"], rows["actual"].map(expected))


def test_the_files_of_the_bundle_are_the_tables_of_the_result():
    result = metamodel.train(
        table(), ["g"], "y", features=["a", "b"], time_column="t", unknown="fallback", prune=False, n_jobs=1
    )
    for name, expected in ((HOLDOUT_NAME, result.holdout), (IMPORTANCE_NAME, result.importance)):
        pd.testing.assert_frame_equal(Bundle(result.bundle_path).read_table(name), expected)
        assert name in Bundle(result.bundle_path).manifest.files
    assert result.holdout["time"].min() == 40


def test_times_are_times_whatever_their_unit():
    frame = table()
    frame["t"] = (pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["t"], unit="D")).astype("datetime64[s]")
    result = metamodel.train(frame, ["g"], "y", features=["a", "b"], time_column="t", n_jobs=1)
    assert result.holdout["time"].max() == pd.Timestamp("2026-02-19")


def test_a_row_that_a_backtest_tests_again_counts_once_from_the_latest_origin():
    options = {
        "time_column": "t",
        "split": "rolling:folds=3,horizon=4,step=2",
        "unknown": "fallback",
        "prune": False,
        "n_jobs": 1,
    }
    frame = table()
    result = metamodel.train(frame, ["g"], "y", LinearRegression(), features=["a", "b"], **options)
    rows = result.holdout
    # Times 42 to 45 are tested from the first origin, 44 to 47 from the second, and 46 to 49 from the third.
    assert sorted(rows["time"].unique()) == list(range(42, 50))
    assert not rows.duplicated(["key", "row"]).any()
    assert result.ledger["compared_rows"].tolist() == [16, 16, 16, 0]
    for times, origin in (((42, 43), 42), ((44, 45), 44), ((46, 49), 46)):
        seen, tested = frame[frame["t"] < origin], frame[frame["t"].between(*times)]
        said = LinearRegression().fit(seen[["a", "b"]], seen["y"]).predict(tested[["a", "b"]])
        found = rows.set_index("actual").loc[tested["y"], "predicted_by_global"]
        np.testing.assert_allclose(found, said)


def test_the_metrics_of_the_ledger_are_those_of_the_rows():
    result = metamodel.train(table(), ["g"], "y", features=["a", "b"], n_jobs=1)
    errors = (result.holdout["actual"] - result.holdout["predicted"]).abs()
    maes = errors.groupby(result.holdout["key"], observed=True).mean()
    np.testing.assert_allclose(maes, result.ledger["holdout_mae"])


def test_a_large_table_keeps_an_even_sample_that_is_the_same_for_every_group():
    rows = RNG.integers(0, 2**63, 20_000).astype(np.uint64)
    share = kept_share(10 * 20_000, 0.1, limit=5_000)
    whole, half = held(rows, rows).sample(share), held(rows[:10_000], rows[:10_000]).sample(share)
    assert share == 0.25
    assert 4_500 < len(whole) < 5_500
    assert set(half.rows) == set(whole.rows) & set(rows[:10_000])
