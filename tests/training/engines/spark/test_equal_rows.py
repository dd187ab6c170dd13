"""Equal rows of a Spark table are counted and judged as those of a table of this machine."""

import numpy as np
import pandas as pd
import pytest

import metamodel
from metamodel.tables.equal_rows import equal_rows
from metamodel.training.engines.spark.equal_rows import spark_equal_rows

RNG = np.random.default_rng(0)
ROWS = 300

PASSENGERS = pd.DataFrame(
    {
        "port": RNG.choice(["C", "Q", "S"], ROWS),
        "sex": RNG.choice(["f", "m", None], ROWS),
        "age": RNG.choice([1.0, 20.0, np.nan], ROWS),
        "survived": RNG.integers(0, 2, ROWS),
    }
)
MEASURED = pd.DataFrame(
    {"port": RNG.choice(["C", "Q"], ROWS), "x": RNG.normal(size=ROWS), "k": RNG.integers(0, 3, ROWS)}
)
MEASURED["survived"] = RNG.normal(size=ROWS)
TABLES = {
    "observations": PASSENGERS,
    "copies": pd.concat([MEASURED, MEASURED.iloc[:30]], ignore_index=True),
    "neither": MEASURED,
    "targets that are missing": PASSENGERS.assign(survived=RNG.choice([0.0, 1.0, np.nan], ROWS)),
}


@pytest.mark.parametrize("name", TABLES)
def test_both_count_the_same(spark, name):
    frame = TABLES[name]
    features = [column for column in frame if column not in ("port", "survived")]
    columns = [*features, "survived"]
    table = spark.createDataFrame(frame)
    kinds = dict(table.dtypes)
    table = table.where("survived is not null and not isnan(survived)")
    there = equal_rows(frame, columns, "survived", pd.factorize(frame["port"])[0])
    assert spark_equal_rows(table, ["port"], columns, "survived", kinds) == there


@pytest.mark.parametrize("name", ["observations", "copies"])
def test_both_hold_back_the_same_rows(spark, name):
    frame = TABLES[name].drop(columns=["sex", "age"], errors="ignore").assign(z=1.0)
    arguments = ["port"], "survived", "dummy"
    local = metamodel.train(frame, *arguments, unknown="fallback", prune=False, n_jobs=1)
    there = metamodel.train(spark.createDataFrame(frame), *arguments, unknown="fallback", prune=False, engine="spark")
    assert {key: local.summary[key] for key in ("duplicate_rows", "duplicate_rows_dropped")} == {
        key: there.summary[key] for key in ("duplicate_rows", "duplicate_rows_dropped")
    }
    columns = ["key", "row", "actual"]
    held = [one.holdout[columns].astype({"key": str}).reset_index(drop=True) for one in (local, there)]
    pd.testing.assert_frame_equal(*held)
    assert len(held[0]) > 20
