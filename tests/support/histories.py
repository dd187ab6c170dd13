"""Versions of a small model as a history keeps them, made of real ledgers, and the two kinds of places."""

from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.datasets import make_store_sales
from metamodel.lineage.generation import Generation, TrainingData
from metamodel.lineage.history_store import HistoryStore
from metamodel.lineage.table_schemas import TABLES

KINDS = ["delta", "parquet"]

WEEKS = make_store_sales(n_stores=2, n_products=2, n_weeks=24, broken=False)


def generations(directory: Path) -> list[Generation]:
    """Three versions: one store; a new store beside it, carried; all of it retrained on more rows."""
    options = {"features": ["price"], "n_jobs": 1, "unknown": "fallback", "prune": False, "pooled": False}
    old = WEEKS[WEEKS["week"] < WEEKS["week"].max()]
    first = metamodel.train(
        old[old["store"] == 1], ["store", "product"], "units", output_dir=directory / "1", **options
    )
    second = metamodel.update(first.bundle_path, old, output_dir=directory / "2")
    third = metamodel.update(second.bundle_path, WEEKS, retrain="all", challenge=False, output_dir=directory / "3")
    return [generation(number, one.bundle_path) for number, one in enumerate((first, second, third), start=1)]


def generation(version: int, bundle: Path, model: str = "sales") -> Generation:
    opened = MetaModel(bundle)
    data = TrainingData(run_id=f"run-{version}", digest=f"digest-{version}", source="delta:/lake@v7", version=7)
    facts = {"manifest": opened.manifest, "digest": opened.bundle.digest, "ledger": opened.ledger}
    return Generation(model=model, version=version, data=data, **facts)


def everything(store: HistoryStore) -> dict[str, pd.DataFrame]:
    """All rows of all tables, in one order."""
    tables = {table.name: store.read(table, None, ds.scalar(True)).to_pandas() for table in TABLES}
    return {
        name: table.sort_values(list(table.columns), ignore_index=True) if len(table) else table
        for name, table in tables.items()
    }
