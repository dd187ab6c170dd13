"""The loop over half a year: monitor, update what is listed, and what that costs and saves against never and always.

    python benchmarks/monitored_loop.py              # a minute
    python benchmarks/monitored_loop.py --groups 100 --weeks 16

Groups have a linear law of their own, 20 rows a week; at week 10 the law of a tenth of them changes (a slope turns,
the level moves by 1.5 sd of the noise), and no feature says so. Every week the model of the week before answers, then
the week's labels come, and each policy does what it does on the last 8 weeks of rows: never; always, where all groups
are trained anew; monitored, where `metamodel.update` retrains, with its contest, what `metamodel.monitor` lists and
does not block.
"""

import argparse
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show

import metamodel
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION, TARGET, DriftReference
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.tables.grouping import group_rows

ROWS, PAST, DRIFT_WEEK = 20, 8, 10


def law(groups: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes before and after, level moves, of each group."""
    rng = np.random.default_rng(seed)
    slopes = rng.normal(1, 1, (groups, 3))
    turned = slopes.copy()
    changed = rng.permutation(groups)[: groups // 10]
    turned[changed, 0] -= 2.0
    moves = np.zeros(groups)
    moves[changed] = 1.5
    return slopes, turned, moves


def rows_of(week: int, groups: int, laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> pd.DataFrame:
    """Rows of one week."""
    rng = np.random.default_rng((7, week + 1000))
    shop = np.repeat(np.arange(groups), ROWS)
    x = rng.normal(size=(len(shop), 3))
    slopes, turned, moves = laws
    after = week >= DRIFT_WEEK
    y = (
        (x * (turned if after else slopes)[shop]).sum(axis=1)
        + rng.normal(size=len(shop))
        + (moves[shop] if after else 0)
    )
    start = pd.Timestamp("2026-01-05") + pd.Timedelta(days=7 * week)
    days = start + pd.to_timedelta(rng.integers(0, 7, len(shop)), unit="D")
    names = ("a", "b", "c")
    return pd.DataFrame({"shop": shop, "day": days.as_unit("us"), **dict(zip(names, x.T, strict=True)), "y": y})


def train(table: pd.DataFrame, directory: Path) -> metamodel.MetaModel:
    """Train all groups."""
    result = metamodel.train(
        table, "shop", "y", "ridge", time_column="day", holdout=0.4, n_jobs=1, output_dir=directory
    )
    return metamodel.MetaModel(result.bundle_path)


def reference_of(model: metamodel.MetaModel, table: pd.DataFrame, before: ModelReference | None) -> ModelReference:
    """Reference of each child: its table's features, its held-out errors; that of a carried child is carried."""
    grouping = group_rows(table, model.manifest.keys)
    days = table["day"].to_numpy().astype(np.int64)
    cells = build_reference(DriftColumns.of(table[["a", "b", "c"]]), grouping.codes, len(grouping.keys), days)
    held = model.bundle.read_table("holdout.parquet")
    place = {key: i for i, key in enumerate(grouping.texts.tolist())}
    codes = np.array([place.get(key, -1) for key in held["key"].astype(str)], dtype=np.int64)
    actual, predicted = held["actual"].to_numpy(), held["predicted"].to_numpy()
    errors = actual - predicted
    columns = {PREDICTION: predicted, TARGET: actual, ERROR: errors, ABSOLUTE_ERROR: np.abs(errors)}
    times = held["time"].to_numpy() if "time" in held else None
    cells = cells.beside(build_reference(DriftColumns(columns), codes, len(grouping.keys), times))
    made = ModelReference(tuple(grouping.texts.tolist()), cells)
    if before is None:
        return made
    children = model.ledger[model.ledger["level"] == 1]
    carried = [f"[{shop}]" for shop in children.loc[children["status"] == "carried", "shop"]]
    kept, new = ([key in carried and key in before.place for key in made.keys] for _ in range(2))
    old = np.array([before.place[key] for key, keep in zip(made.keys, kept, strict=True) if keep], dtype=np.int64)
    fresh = np.flatnonzero(~np.array(new))
    keys = [before.keys[i] for i in old] + [made.keys[i] for i in fresh]
    return ModelReference(tuple(keys), DriftReference.concat([before.cells.take(old), made.cells.take(fresh)]))


def error(model: metamodel.MetaModel, table: pd.DataFrame) -> float:
    """Mean absolute error."""
    return float((model.predict(table)["prediction"] - table["y"]).abs().mean())


def run(groups: int, weeks: int, folder: Path) -> list[dict[str, Any]]:
    """Go through the weeks."""
    laws = law(groups, 0)
    table = pd.concat([rows_of(week, groups, laws) for week in range(-PAST, 0)], ignore_index=True)
    first = train(table, folder / "first")
    models = dict.fromkeys(("never", "always", "monitored"), first)
    errors: dict[str, list[float]] = {name: [] for name in models}
    fits, seconds = dict.fromkeys(models, 0), dict.fromkeys(models, 0.0)
    reference = reference_of(first, table, None)
    for week in range(weeks):
        window = rows_of(week, groups, laws)
        for name, model in models.items():
            errors[name].append(error(model, window))
        table = pd.concat([table, window], ignore_index=True)
        table = table[table["day"] >= table["day"].max() - pd.Timedelta(days=7 * PAST)].reset_index(drop=True)
        started = time.process_time()
        models["always"] = train(table, folder / f"always-{week}")
        fits["always"] += groups
        seconds["always"] += time.process_time() - started
        started = time.process_time()
        found = metamodel.monitor(models["monitored"], window, baseline=reference, window="1w", output=folder / "state")
        listed = found.retrain[~found.retrain["blocked"]]
        if len(listed):
            updated = metamodel.update(
                models["monitored"], table, retrain=["listed"], retrain_list=listed, n_jobs=1,
                output_dir=folder / f"monitored-{week}",
            )  # fmt: skip
            models["monitored"] = metamodel.MetaModel(updated.bundle_path)
            reference = reference_of(models["monitored"], table, reference)
            fits["monitored"] += len(listed)
        seconds["monitored"] += time.process_time() - started
        print(week, found.sentence, {k: round(v[-1], 3) for k, v in errors.items()}, file=sys.stderr, flush=True)
    always = np.mean(errors["always"])
    return [
        {
            "policy": name,
            "mean error": float(np.mean(values)),
            "against always": f"{np.mean(values) / always - 1:+.1%}",
            "after week 10": float(np.mean(values[DRIFT_WEEK + 1 :])),
            "share of fits": fits[name] / (groups * weeks),
            "processor seconds": seconds[name],
        }
        for name, values in errors.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        show(run(given.groups, given.weeks, Path(directory)), given.json)
