"""Shops of three countries whose rows stay alike, and a model of them, to be monitored."""

from typing import Any

import numpy as np
import pandas as pd

import metamodel
from metamodel.monitoring.monitoring_result import Monitoring

COUNTRIES = ["DE", "FR", "IT"]

START = "2026-03-02"
SECOND = "2026-03-09"
THIRD = "2026-03-16"


def weeks(number: int, seed: int, *, shops: int = 12, rows: int = 30, start: str = "2026-03-02") -> pd.DataFrame:
    """Give every shop so many rows in each of so many weeks."""
    rng = np.random.default_rng(seed)
    size = shops * number * rows
    shop = np.repeat(np.arange(shops), number * rows)
    week = pd.to_datetime(start) + pd.to_timedelta(7 * np.tile(np.repeat(np.arange(number), rows), shops), unit="D")
    price, stock = rng.normal(10, 2, size), rng.lognormal(size=size)
    kind = rng.choice(["a", "b", "c"], size, p=[0.6, 0.3, 0.1]).astype(object)
    sales = shop + 2 * price - np.log(stock) + (kind == "b") + rng.normal(size=size)
    return pd.DataFrame(
        {
            "row_id": np.arange(size) + seed * 10_000_000,
            "country": np.array(COUNTRIES, dtype=object)[shop % 3],
            "shop": shop,
            "week": week.as_unit("us"),
            "price": price,
            "stock": stock,
            "kind": kind,
            "sales": sales,
        }
    )


def monitored(n_jobs: int = 1, **options: Any) -> metamodel.TrainingResult:
    """Train on ten weeks."""
    return _trained(weeks(8, 1, start="2026-01-05"), n_jobs=n_jobs, **options)


def _trained(table: pd.DataFrame, **options: Any) -> metamodel.TrainingResult:
    return metamodel.train(
        table,
        ["country", "shop"],
        "sales",
        "ridge",
        time_column="week",
        features=["price", "stock", "kind"],
        **options,
    )


def changed(start: str, seed: int) -> pd.DataFrame:
    """One week in which shop 3 sells more than its model knows."""
    table = weeks(1, seed, start=start)
    table.loc[table["shop"] == 3, "sales"] += 4
    return table


def statuses(result: Monitoring) -> dict[str, str]:
    """Say what came of each group."""
    return dict(zip(result.groups["key"], result.groups["status"], strict=True))


def alike(number: int, seed: int, **options: Any) -> pd.DataFrame:
    """Shops of which none differs from the others: a child of its own gains nothing but by chance."""
    table = weeks(number, seed, **options)
    return table.assign(sales=table["sales"] - table["shop"])


def with_pruned(**options: Any) -> metamodel.TrainingResult:
    """Train on shops that are alike, so that parents answer for some of them."""
    choices = {"unknown": "fallback", "prune": True, "pooled": False, "n_jobs": 1}
    return _trained(alike(8, 1, start="2026-01-05"), **choices, **options)
