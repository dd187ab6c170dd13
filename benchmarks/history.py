"""A history of two years: what a generation costs to write, and a question to ask.

``python benchmarks/history.py [--groups 50000] [--versions 104] [--share 0.05] [--kind delta|parquet] [--history DIR]``
``python benchmarks/history.py --rebuild [--groups 50000] [--versions 104]``

Ledgers are those of a real training, repeated to so many groups; each week a share of the groups gets another child,
and the others are carried. All of it goes through the store's own writer. With ``--rebuild`` the versions are
registered too, in a store of SQLite, the command ``metamodel history sales --rebuild`` makes the history again in a
process of its own, and all rows are compared.
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from measuring import median_seconds

import metamodel
from metamodel.bundle.manifest import FileEntry, write_manifest
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import LEDGER_NAME
from metamodel.datasets import make_store_sales
from metamodel.lineage import history_store
from metamodel.lineage.generation import Generation, TrainingData
from metamodel.lineage.history_store import HistoryStore
from metamodel.lineage.table_schemas import TABLES

NAME = "sales"

FIRST_WEEK = pd.Timestamp("2024-12-02", tz="UTC")


def first_ledger(directory: Path, groups: int) -> tuple[MetaModel, pd.DataFrame]:
    """Train a few groups, and give each of many the row of one of them."""
    weeks = make_store_sales(n_stores=5, n_products=10, n_weeks=52, broken=False)
    options = {"time_column": "week", "unknown": "null", "features": ["price", "promotion"], "n_jobs": 1}
    result = metamodel.train(weeks, ["store", "product"], "units", output_dir=directory / "bundle", **options)
    model = MetaModel(result.bundle_path)
    rows = model.ledger[model.ledger["level"] == 2]
    many = rows.iloc[np.arange(groups) % len(rows)].reset_index(drop=True)
    keys = {"store": np.arange(groups) // 100, "product": [f"P{i % 100:03}" for i in range(groups)]}
    digests = [hashlib.sha256(f"0-{i}".encode()).hexdigest() for i in range(groups)]
    return model, many.assign(**keys, sha256=digests)


def generations(model: MetaModel, ledger: pd.DataFrame, versions: int, share: float) -> Iterator[Generation]:
    """Give week after week: a share of the groups is trained again, the others are carried."""
    rng = np.random.default_rng(0)
    for version in range(1, versions + 1):
        time_of_run = (FIRST_WEEK + pd.Timedelta(weeks=version - 1)).isoformat()
        if version > 1:
            chosen = np.flatnonzero(rng.random(len(ledger)) < share)
            ledger = ledger.assign(status="carried", retrain_reason="", decision="carried")
            digests = [hashlib.sha256(f"{version}-{i}".encode()).hexdigest() for i in chosen]
            ledger.loc[chosen, ["status", "decision", "retrain_reason"]] = ["fitted", "replaced", "stale: 9 weeks"]
            ledger.loc[chosen, "sha256"] = digests
            ledger.loc[chosen, "trained_at"] = time_of_run
            ledger.loc[chosen, "holdout_rmse"] *= rng.normal(1, 0.05, len(chosen))
        data = TrainingData(
            run_id=f"run{version:029}", digest=f"{version:08x}", source="delta:/lake/sales", version=version
        )
        manifest = replace(model.manifest, created=time_of_run)
        facts = {"manifest": manifest, "digest": f"{version:064x}", "ledger": ledger, "data": data}
        yield Generation(model=NAME, version=version, **facts)


def promotion(version: int) -> dict[str, Any]:
    """Make the event that points the champion at a version."""
    time_of_move = FIRST_WEEK + pd.Timedelta(weeks=version - 1, hours=6)
    facts = {"model": NAME, "id": f"id{version}", "time": time_of_move.isoformat(), "kind": "promote"}
    return {**facts, "alias": "champion", "version": version, "replaced": version - 1 or None, "done_by": "ann"}


def questions(place: Path, groups: int, versions: int) -> dict[str, Callable[[], Any]]:
    """Ask what people ask; each question opens the history anew."""
    group = (groups // 200, "P045")
    day = str((FIRST_WEEK + pd.Timedelta(weeks=versions // 2 - 1, days=3)).date())
    asked: dict[str, Callable[[], Any]] = {
        "when was the group trained, on which data, how good in each version": lambda: metamodel.history(
            NAME, group=group, history=place
        ),
        "which child answered on a day, and why so far off": lambda: str(
            metamodel.explain(f"models:/{NAME}", group, day, history=place)
        ),
        "which versions are there, and who promoted them": lambda: metamodel.history(NAME, history=place),
    }
    sql = "SELECT version, retrain_reason, count(*) FROM lineage WHERE status = 'fitted' GROUP BY 1, 2 ORDER BY 1"
    if (place / "lineage" / "_delta_log").is_dir():
        asked["SQL: how many groups were retrained in each version, and why"] = lambda: metamodel.history(
            NAME, sql=sql, history=place
        )
    return asked


def write(place: Path, kind: str, groups: int, versions: int, share: float) -> None:
    """Write the generations of one kind of history."""
    if kind == "parquet":
        history_store.find_spec = lambda name: None  # as where deltalake is not installed
    times = []
    with tempfile.TemporaryDirectory(prefix="metamodel-history-") as name:
        model, ledger = first_ledger(Path(name), groups)
        for generation in generations(model, ledger, versions, share):
            store, begin = HistoryStore(place), (time.perf_counter(), time.process_time())
            store.write_generation(generation)
            store.append_event(promotion(generation.version))
            times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    print(f"\n{kind}: {versions} versions of {groups:,} groups, {share:.0%} of them retrained in each")
    wall, processor = np.median(times, axis=0)
    print(f"  {wall:.2f} s to write a generation (processor {processor:.2f} s), {times[-1][1]:.2f} s the last")
    for table in TABLES:
        size = sum(path.stat().st_size for path in (place / table.name).rglob("*") if path.is_file())
        print(f"  {table.name:<10} {size / 1e6:8.1f} MB") if size else None


def ask(place: Path, groups: int, versions: int, repeats: int = 9) -> None:
    """Ask a history, each question of a history that is opened anew."""
    for question, call in questions(place, groups, versions).items():
        wall = median_seconds({"": call}, repeats)[""]
        processor = median_seconds({"": call}, repeats, "cpu")[""]
        print(f"  {wall:.3f} s (processor {processor:.3f} s)  {question}", flush=True)


def rebuild(place: Path, groups: int, versions: int, share: float) -> None:
    """Register versions, write their history as they come, make it again from the registry, and compare all rows."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{place}/mlflow.db"
    import mlflow

    from metamodel.tracking.record_generation import generation_of

    model, ledger = first_ledger(place, groups)
    logged = Path(mlflow.artifacts.download_artifacts(metamodel.log_model(model.path, report=False).model_uri))
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    for made in generations(model, ledger, versions, share):
        folder = place / "registered" / str(made.version)
        (folder / "artifacts" / "bundle").mkdir(parents=True)
        shutil.copy(logged / "MLmodel", folder)
        made.ledger.to_parquet(folder / "artifacts" / "bundle" / LEDGER_NAME, index=False)
        entry = FileEntry.of(folder / "artifacts" / "bundle" / LEDGER_NAME)
        manifest = replace(made.manifest, files={**made.manifest.files, LEDGER_NAME: entry})
        write_manifest(folder / "artifacts" / "bundle", manifest)
        digest = (folder / "artifacts" / "bundle" / "manifest.sha256").read_text().split()[0]
        client.create_model_version(NAME, str(folder))
        HistoryStore(place / "written").write_generation(
            generation_of(NAME, made.version, "", (manifest, digest, made.ledger))
        )
    begin = time.perf_counter()
    words = ["history", NAME, "--rebuild", "--history", str(place / "rebuilt")]
    subprocess.run([sys.executable, "-m", "metamodel", *words], check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, processor = time.perf_counter() - begin, used.ru_utime + used.ru_stime
    print(f"rebuilt in {wall:.0f} s (processor {processor:.0f} s), at most {used.ru_maxrss / 1e6:.2f} GB of memory")
    print(f"  {equal_rows(place / 'written', place / 'rebuilt'):,} rows, all of them equal")


def equal_rows(one: Path, other: Path) -> int:
    """Count the rows of both histories, which must be the same."""
    rows = 0
    versions = HistoryStore(one).read(TABLES[0], ["version"], ds.scalar(True))["version"].to_pylist()
    for table in TABLES[:3]:  # neither events nor windows were made
        for version in versions:
            both = [HistoryStore(place).read(table, None, ds.field("version") == version) for place in (one, other)]
            ordered = [read.sort_by(table.schema.names[2]) for read in both]
            assert ordered[0].equals(ordered[1]), (table.name, version)
            rows += ordered[0].num_rows
    return rows


def main() -> None:
    """Measure both kinds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=50_000)
    parser.add_argument("--versions", type=int, default=104)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--kind", choices=["delta", "parquet"])
    parser.add_argument("--history", type=Path, help="Keep the history here; one that is there is only asked.")
    parser.add_argument("--rebuild", action="store_true", help="Make a history again from a registry, and compare.")
    options = parser.parse_args()
    if options.rebuild:
        with tempfile.TemporaryDirectory(prefix="metamodel-history-") as name:
            rebuild(Path(name), options.groups, options.versions, options.share)
        return
    for kind in [options.kind] if options.kind else ["delta", "parquet"]:
        with tempfile.TemporaryDirectory(prefix="metamodel-history-") as name:
            place = options.history or Path(name) / "history"
            if not place.exists():
                write(place, kind, options.groups, options.versions, options.share)
            ask(place, options.groups, options.versions)


if __name__ == "__main__":
    main()
