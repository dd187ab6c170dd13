"""Twelve weeks of updates: one ledger, with one process, with two, and on Spark."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from spark_tables import assert_same_ledger
from weekly_panel import FEATURES, panel

import metamodel
from metamodel.bundle.carry.seen import read_seen
from metamodel.bundle.model import MetaModel

GENERATIONS = 12

RULES: dict[str, Any] = {"retrain": "new,failed,stale", "min_new_rows": 0.2, "keep_missing": "3w"}


def week(number: int) -> pd.DataFrame:
    """Give the table of a week: every second one a shop opens, shop 2 closes, and shop 4 gets its rows in lumps."""
    shops = [shop for shop in range(6 + number // 2) if shop != 2 or number < 4]
    table = panel(shops, weeks=30 + number)
    return table[(table["shop"] != 4) | (table["week"] < table["week"].max() - dt.timedelta(weeks=number % 4))]


def generations(table_of: Callable[[int], Any], **options: Any) -> Iterator[pd.DataFrame]:
    """Train, and update week by week; a version is called by its number."""
    given = {"features": FEATURES, "time_column": "week", "unknown": "fallback", "pooled": False, "interval": 0.8}
    result = metamodel.train(table_of(0), ["country", "shop"], "sales", ["ridge", "decision_tree"], **given, **options)
    names = {MetaModel(result.bundle_path).bundle.digest[:12]: "0"}
    yield result.ledger
    for number in range(1, GENERATIONS):
        result = metamodel.update(result.bundle_path, table_of(number), **RULES)
        names[MetaModel(result.bundle_path).bundle.digest[:12]] = str(number)
        yield result.ledger.replace({"trained_version": names})


@pytest.fixture(scope="module")
def alone() -> list[pd.DataFrame]:
    return list(generations(week, n_jobs=1))


def test_the_weeks_hold_what_they_are_for(alone: list[pd.DataFrame]) -> None:
    reasons = {reason.partition(":")[0] for ledger in alone for reason in ledger["retrain_reason"]}
    assert reasons == {"", "new", "rows"}
    assert {status for ledger in alone for status in ledger["status"]} >= {"fitted", "carried", "retired"}


def test_two_processes_give_the_same_ledgers(alone: list[pd.DataFrame]) -> None:
    for one, other in zip(alone, generations(week, n_jobs=2), strict=True):
        assert_same_ledger(one, other)


@pytest.mark.spark
def test_spark_gives_the_same_ledgers(alone: list[pd.DataFrame], spark: Any, tmp_path: Path) -> None:
    def table_of(number: int) -> Any:
        week(number).to_parquet(tmp_path / f"{number}.parquet", coerce_timestamps="us")
        return spark.read.parquet(str(tmp_path / f"{number}.parquet"))

    for one, other in zip(alone, generations(table_of, engine="spark", n_jobs=2), strict=True):
        assert_same_ledger(one, other)


def timeless(number: int) -> pd.DataFrame:
    """Give the first rows of a few shops, one more a generation, in another order every time."""
    table = panel(range(4), weeks=30 + 8 * number).assign(label=lambda frame: "n" + (frame["price"] > 0).astype(str))
    return table.sample(frac=1, random_state=number).drop(columns="week")


@pytest.mark.spark
def test_spark_knows_rows_again_that_this_machine_saw_and_the_other_way_round(spark: Any, tmp_path: Path) -> None:
    def table_of(number: int, engine: str) -> Any:
        path = tmp_path / f"timeless-{number}.parquet"
        timeless(number).to_parquet(path)
        return spark.read.parquet(str(path)) if engine == "spark" else str(path)

    options: dict[str, Any] = {"features": ["price", "promotion", "label"], "unknown": "fallback", "pooled": False}
    seen, ledgers = {}, {}
    for engine in ("local", "spark"):
        first = metamodel.train(table_of(0, engine), ["country", "shop"], "sales", engine=engine, n_jobs=1, **options)
        other = {"local": "spark", "spark": "local"}[engine]
        second = metamodel.update(first.bundle_path, table_of(1, other), retrain="all", engine=other)
        ledgers[engine] = second.ledger
        seen[engine] = [read_seen(MetaModel(one.bundle_path).bundle) for one in (first, second)]
    for one, other_one in zip(seen["local"], seen["spark"], strict=True):
        assert {key: hashes.tolist() for key, hashes in one.items()} == {
            key: hashes.tolist() for key, hashes in other_one.items()
        }
    assert set(ledgers["local"]["fresh_rows"]) == {8, 16, 32}
    for name in ("fresh_rows", "decision"):
        assert ledgers["local"][name].tolist() == ledgers["spark"][name].tolist()
