"""What rows are held back, and which are known again, follows from their values alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metamodel
from metamodel.evaluation.splits import time_order
from metamodel.tables.features import FeatureSchema
from metamodel.tables.split_groups import SplitGroups
from metamodel.tables.weights import row_weights
from metamodel.training.training_table import TrainingTable

ROWS = st.lists(
    st.tuples(
        st.integers(-3, 3), st.sampled_from(["a", "b"]), st.integers(0, 400), st.integers(1, 3), st.integers(0, 5)
    ),
    min_size=3,
    max_size=30,
)

# Types that one file gives a column, and another file the same column.
TYPES = {
    "count": ["int64", "float64", "Int64", "int8"],
    "colour": [object, "category", "string"],
    "weight": ["int64", "float64"],
    "customer": ["int64", "float64", "Int64", "category"],
    "y": ["int64", "float64"],
}
TIMES: dict[str, Any] = {
    "text": lambda days: days.dt.strftime("%Y-%m-%d"),
    "nanoseconds": lambda days: days.astype("datetime64[ns]"),
    "milliseconds": lambda days: days.astype("datetime64[ms]"),
    "zone": lambda days: days.dt.tz_localize("UTC"),
    "date": lambda days: days.dt.date,
}


def hashed(frame: pd.DataFrame, seed: int = 0) -> TrainingTable:
    schema = FeatureSchema.infer(frame, ["count", "colour"])
    return TrainingTable.of(
        schema.training_table(frame),
        frame["y"].to_numpy(dtype=np.float64),
        time_order(frame["day"], "day"),
        row_weights(frame["weight"]),
        np.arange(len(frame)) % 2,
        SplitGroups.of(frame, "customer", seed),
        random_state=seed,
        hashes_seen=True,
    )


def table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["count", "colour", "day", "weight", "customer"])
    days = pd.Series(pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["day"], unit="D"))
    return frame.assign(day=days, y=frame["count"] * 2)


def told(rows: TrainingTable) -> list[Any]:
    assert rows.contents is not None
    assert rows.split_groups is not None
    return [
        rows.hashes.tolist(),
        rows.contents.tolist(),
        rows.split_groups.hashes.tolist(),
        rows.fingerprint(slice(None)),
    ]


@given(
    ROWS,
    st.fixed_dictionaries({name: st.sampled_from(types) for name, types in TYPES.items()}),
    st.sampled_from([*TIMES]),
)
def test_no_hash_depends_on_the_types_of_a_file(rows, types, time):
    frame = table(rows)
    assert told(hashed(frame.assign(day=TIMES[time](frame["day"])).astype(types))) == told(hashed(frame))


@given(ROWS, st.randoms(use_true_random=False))
def test_no_hash_depends_on_other_rows(rows, random):
    frame = table(rows)
    chosen = sorted(random.sample(range(len(rows)), len(rows) // 2 + 1))
    whole, part = hashed(frame), hashed(frame.iloc[chosen])
    assert part.hashes.tolist() == whole.hashes[chosen].tolist()


@pytest.mark.parametrize(
    ("changed", "same_row", "same_content"),
    [
        ({"count": 7}, False, False),
        ({"y": 0.5}, False, False),
        ({"day": pd.Timestamp("2020-01-01")}, False, True),
        ({"customer": 77}, False, True),
        ({"weight": 2}, True, True),
    ],
    ids=["feature", "target", "time", "customer", "weight"],
)
def test_each_hash_tells_what_it_is_for(changed, same_row, same_content):
    frame = table([(1, "a", 3, 1, 2), (2, "b", 4, 1, 2)])
    before, after = hashed(frame), hashed(frame.assign(**changed))
    assert (before.hashes[1] == after.hashes[1]) is np.bool_(same_row)
    assert (before.contents[1] == after.contents[1]) is np.bool_(same_content)
    assert before.fingerprint(slice(1, 2)) != after.fingerprint(slice(1, 2))


def test_an_equal_row_of_another_group_is_another_one_to_know_again():
    rows = hashed(table([(1, "a", 3, 1, 2)] * 2))
    assert rows.hashes[0] == rows.hashes[1]
    assert rows.contents[0] != rows.contents[1]


def test_the_seed_draws_other_rows_and_knows_the_same_ones_again():
    frame = table([(1, "a", 3, 1, 2), (2, "b", 4, 1, 2)])
    one, other = hashed(frame), hashed(frame, seed=1)
    assert not set(one.hashes) & set(other.hashes)
    assert one.contents.tolist() == other.contents.tolist()
    assert one.fingerprint(slice(None)) == other.fingerprint(slice(None))


def test_a_table_from_csv_and_from_parquet_is_split_alike(tmp_path):
    weeks = metamodel.datasets.make_store_sales(n_stores=2, n_products=2, n_weeks=30, broken=False)
    weeks = weeks.assign(
        kind=pd.Categorical(np.where(weeks["promotion"] > 0, "deal", "none")), noise=weeks["units"] % 7
    )
    weeks.to_csv(tmp_path / "weeks.csv", index=False)
    weeks.to_parquet(tmp_path / "weeks.parquet")
    options = {"features": ["price", "promotion", "kind"], "n_jobs": 1, "split": "kfold:3"}
    read = [
        metamodel.train(path, ["store", "product"], "units", **options)
        for path in (tmp_path / "weeks.csv", tmp_path / "weeks.parquet")
    ]
    assert len(read[0].holdout) == len(weeks)
    pd.testing.assert_frame_equal(read[0].holdout, read[1].holdout)
    assert read[0].ledger["fingerprint"].tolist() == read[1].ledger["fingerprint"].tolist()
