"""Tables and comparisons that the Spark tests share."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from children import MARK

import metamodel

KEYS = ["latitude_cell", "longitude_cell"]
FEATURES = ["housing_median_age", "total_rooms", "total_bedrooms", "population", "median_income"]
TARGET = "median_house_value"


def in_cells(housing: pd.DataFrame) -> pd.DataFrame:
    """Districts with the 1° cell they are in."""
    cells = {f"{name}_cell": np.floor(housing[name]).astype("int64") for name in ("latitude", "longitude")}
    return housing.assign(**cells)


def assert_same_ledger(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Row for row, apart from times, files, and stacks (Spark compares them on fewer rows).

    Nearest neighbours store the rows, once or twice depending on whether their tree copied them.
    """
    out = {"seconds", "trained_at", "shard", "stack"}
    if one["estimator"].str.contains("KNeighbors").any():
        out |= {"bytes", "sha256"}
    assert list(one.columns) == list(other.columns)
    left, right = (ledger.drop(columns=list(out & set(ledger.columns))) for ledger in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=1e-9)


def entries(spark: Any) -> dict[str, int]:
    """Files below the temporary folder of Spark's workers, and their bytes."""
    folder = Path(spark.conf.get("spark.metamodel.tests.workersTemp"))
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def stored(frame: pd.DataFrame, tmp_path: Path) -> str:
    path = tmp_path / "table.parquet"
    frame.to_parquet(path, index=False)
    return str(path)


def odd_groups() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    sizes = {1: 20, 2: 20, 3: 1, 4: 20_000, 5: 20}
    store = np.concatenate([np.full(rows, name, dtype=float) for name, rows in sizes.items()])
    frame = pd.DataFrame({"x": rng.normal(size=len(store)), "store": store, "flag": rng.random(len(store)) < 0.5})
    frame["y"] = frame["x"] * frame["store"] + rng.normal(size=len(frame)) / 10
    frame.loc[3, "x"] = MARK
    frame.loc[[39, 25, 20_045], "store"] = np.nan
    return frame.sample(frac=1, random_state=1, ignore_index=True)


def both(data: Any, spark_data: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Train on this machine and on Spark."""
    local = metamodel.train(data, *args, n_jobs=1, **options)
    return local, metamodel.train(spark_data, *args, engine="spark", n_jobs=1, **options)
