"""Record, of all groups at once, what later rows are compared with; carried groups keep what they had.

Features and target are those of the training rows, predictions and errors those of held-out rows, of models that had
not seen them. No row is kept: deciles, counts and commonest categories are.
"""

from collections.abc import Collection, Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from metamodel.bundle.monitored.stored_reference import read_drift, write_drift
from metamodel.bundle.reader import Bundle
from metamodel.common.arrays import IntArray
from metamodel.common.background import Background
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_columns import DriftColumns, hash_categories
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION, DriftReference
from metamodel.training.monitored.recorded_groups import recorded_groups, replayed_groups
from metamodel.training.monitored.row_reference import RowReference
from metamodel.training.monitored.watched_groups import answered_rows, watched_groups
from metamodel.training.plan import Plan, TablePlan

__all__ = ["record_reference"]


def record_reference(
    directory: Path,
    plan: Plan,
    ledger: pd.DataFrame,
    holdout: pd.DataFrame,
    chain: Sequence[int],
    of_workers: Sequence[tuple[list[str], DriftReference]] = (),
    taken_over: tuple[Bundle, Collection[str]] | None = None,
    background: Background | None = None,
) -> None:
    """Write the reference of the groups that were fitted, and are answered, into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    plan
        What was trained; of a table in memory it has the rows.
    ledger
        Says which groups have a child, and whom the pooled model or a parent answers.
    holdout
        Held-out rows of the groups: `key`, `actual`, `predicted`, what the pooled model and the parents said, and
        `time` where there is one.
    chain
        Levels that answer for groups without a child; empty where none does.
    of_workers
        What workers recorded of their groups' rows, where these are not in memory.
    taken_over
        The version before, and the encoded keys of the groups that are taken over from it.
    background
        Writes the file while this thread goes on.
    """
    watched = watched_groups(ledger, plan.keys, chain)
    earlier = None if taken_over is None else read_drift(taken_over[0])
    place = {} if earlier is None else {key: i for i, key in enumerate(earlier[0])}
    kept = place.keys() & taken_over[1] if taken_over else set()
    kept_in_order = [key for key in watched if key in kept]
    in_table = set(plan.encoded.values())
    new, reference = _of_rows(plan, [key for key in watched if key not in kept], in_table, of_workers)
    of_time = plan.functions_of_time()
    parts = [] if reference is None else [reference.beside(_of_held_out(plan, answered_rows(holdout, watched), new))]
    groups: list[IntArray | slice] = [slice(None)] * len(parts)
    if earlier is not None and kept_in_order:
        parts.insert(0, earlier[1])
        groups.insert(0, np.array([place[key] for key in kept_in_order], dtype=np.int64))
        of_time = _seen_in_both(earlier[1].of_time, of_time, whole=place.keys() <= in_table)
    if not parts:  # workers have read no row, and the version before has no reference
        return
    recorded = replace(DriftReference.concat(parts, groups), of_time=of_time or frozenset())
    write_drift(directory, [*kept_in_order, *new], recorded, background)


def _of_rows(
    plan: Plan, keys: Sequence[str], in_table: Set[str], of_workers: Sequence[tuple[list[str], DriftReference]]
) -> tuple[list[str], DriftReference | None]:
    """Find, or make, the reference of some groups' training rows: of those whose rows are there.

    All rows that were read say which categories there are, those of groups whose fit failed among them.
    """
    if isinstance(plan, TablePlan):
        # Groups that have rows, though none is fitted: carried ones without a reference to be carried.
        recorded = list(dict.fromkeys([*recorded_groups(plan), *(key for key in keys if key in in_table)]))
        reference = _of_table(plan, recorded)
    elif of_workers:
        recorded = [key for part, _ in of_workers for key in part]
        reference = DriftReference.concat([part for _, part in of_workers])
    else:
        return [], None
    place = {key: i for i, key in enumerate(recorded)}  # of a group that was fitted twice the last one, which is alike
    there = [key for key in keys if key in place]
    return there, reference.take(np.array([place[key] for key in there], dtype=np.int64))


def _of_table(plan: TablePlan, keys: Sequence[str]) -> DriftReference:
    groups = pd.Index(np.array(keys, dtype=object)).get_indexer(plan.grouping.texts)[plan.grouping.codes]
    table = plan.table
    if len(keys) < len(plan.grouping.keys):  # an update: the columns of the other groups need not be made
        of_these = np.flatnonzero(groups >= 0)
        table, groups = table.take(of_these), groups[of_these]
    rows = RowReference(plan.features, plan.spec.task)
    return rows.of(table, groups.astype(np.int64), len(keys), replayed_groups(keys))


def _seen_in_both(before: frozenset[str], now: frozenset[str] | None, *, whole: bool) -> frozenset[str]:
    """Say which columns are functions of time alone, after an update: few groups' rows prove it less than many do."""
    if now is None:
        return before
    return now if whole else before & now


def _of_held_out(plan: Plan, holdout: pd.DataFrame, keys: Sequence[str]) -> DriftReference:
    held = holdout[holdout["predicted"].notna() & holdout["actual"].notna()]
    number = pd.Index(np.array(keys, dtype=object))
    key = held["key"].astype("category").cat
    groups = np.append(number.get_indexer(key.categories.astype(object)), -1)[key.codes].astype(np.int64)
    times = held["time"].to_numpy() if "time" in held else None
    return build_reference(_held_columns(held, plan), groups, len(keys), times, replayed_groups(keys), frozenset())


def _held_columns(held: pd.DataFrame, plan: Plan) -> DriftColumns:
    columns = DriftColumns()
    if plan.spec.task == "regression":
        actual, predicted = (held[name].to_numpy(dtype=np.float64) for name in ("actual", "predicted"))
        columns.values[PREDICTION] = predicted
        columns.values[ERROR] = actual - predicted
        columns.values[ABSOLUTE_ERROR] = np.abs(actual - predicted)
        return columns
    columns.values[PREDICTION], columns.texts[PREDICTION] = hash_categories(held["predicted"].astype(object))
    actual, _ = hash_categories(held["actual"].astype(object))
    columns.values[ABSOLUTE_ERROR] = (actual != columns.values[PREDICTION]).astype(np.float64)
    return columns
