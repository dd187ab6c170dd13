"""The reference of many groups from their rows."""

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray
from metamodel.evaluation.drift.bins import COMMONEST, SLOTS, category_slots, commonest_categories
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import (
    REPLAYED_BLOCKS,
    REPLAYED_SCORES,
    VOCABULARY,
    DriftReference,
)
from metamodel.evaluation.drift.record_numbers import record_numbers
from metamodel.evaluation.drift.replay import replay_categories, replay_numbers
from metamodel.evaluation.drift.time_functions import functions_of_time

__all__ = ["build_reference"]


def build_reference(
    columns: DriftColumns,
    groups: IntArray,
    n_groups: int,
    times: AnyArray | None = None,
    replayed: BoolArray | None = None,
    of_time: frozenset[str] | None = None,
) -> DriftReference:
    """Record what is needed of the rows of many groups to compare later rows with them.

    A group's arrays depend on its own rows alone, not on those of other groups and not on the order of the rows (where
    there are times: of rows of different times). So groups may be built in any number of parts and put behind one
    another by `DriftReference.concat`. Columns that are known of other rows only (held-out predictions and errors) are
    built by a second call with those rows, and put beside by `DriftReference.beside`.

    Parameters
    ----------
    columns
        Shape (n_rows,) each.
    groups
        Group of each row, shape (n_rows,); -1 for a row that belongs to none.
    n_groups
        Number of groups; one may be without rows.
    times
        What orders the rows, shape (n_rows,): numbers or datetimes. None where there is nothing: then nothing is
        replayed, and rows count as independent.
    replayed
        Shape (n_groups,): whose windows are replayed; by default everybody's. It is most of the work.
    of_time
        Columns that are functions of time alone, where that is known of more rows than these.

    Examples
    --------
    >>> columns = DriftColumns.of({"price": np.arange(20.0), "shop": ["a", "b"] * 10})
    >>> reference = build_reference(columns, np.repeat([0, 1], 10), 2)
    >>> reference.counts.sum(axis=2).tolist()
    [[10, 10], [10, 10]]
    """
    order = _in_order(groups, times)
    sizes = np.bincount(groups[order], minlength=n_groups)
    counts = np.zeros((n_groups, len(columns.values), SLOTS), dtype=np.uint32)
    is_number = np.array([name not in columns.texts for name in columns.values], dtype=bool)
    numbers = record_numbers(
        [columns.values[name] for name in columns.values if name not in columns.texts], order, sizes
    )
    counts[:, is_number] = numbers.counts
    commonest, slots = [], {}
    for i, name in enumerate(columns.values):
        if name in columns.texts:
            hashes, of_row = columns.values[name][order], np.repeat(np.arange(n_groups), sizes)
            commonest.append(commonest_categories(hashes, of_row, n_groups))
            slots[name] = category_slots(hashes, of_row, commonest[-1], None)
            in_slots = np.bincount(of_row * SLOTS + slots[name], minlength=n_groups * SLOTS)
            counts[:, i] = in_slots.reshape(n_groups, SLOTS)
    if of_time is None:
        of_time = None if times is None else functions_of_time(columns.take(order), times[order])
    return DriftReference(
        tuple(columns.values),
        columns.kinds,
        numbers.edges,
        np.stack(commonest, axis=1) if commonest else np.zeros((n_groups, 0, COMMONEST), dtype=np.uint64),
        counts,
        numbers.tails,
        numbers.moments,
        _replays(columns, slots, order, sizes, np.full(n_groups, times is not None) & (replayed is None or replayed)),
        {name: _vocabulary(columns.values[name][order], texts) for name, texts in columns.texts.items()},
        of_time or frozenset(),
    )


def _in_order(groups: IntArray, times: AnyArray | None) -> IntArray:
    rows = np.flatnonzero(groups >= 0)
    if times is None:
        return rows[np.argsort(groups[rows], kind="stable")]
    return rows[np.lexsort((times[rows], groups[rows]))]


def _replays(
    columns: DriftColumns, slots: dict[str, IntArray], order: IntArray, sizes: IntArray, chosen: BoolArray
) -> AnyArray:
    """Replay the windows of some groups; NaN for all others."""
    shape = (len(sizes), len(columns.values), len(REPLAYED_BLOCKS), len(REPLAYED_SCORES))
    replays = np.full(shape, np.nan, dtype=np.float16)
    if not chosen.any():
        return replays
    of_chosen = np.repeat(chosen, sizes)
    rows, sizes = order[of_chosen], sizes[chosen]
    for i, (name, values) in enumerate(columns.values.items()):
        is_category = name in columns.texts
        replays[chosen, i] = (
            replay_categories(slots[name][of_chosen], sizes) if is_category else replay_numbers(values[rows], sizes)
        )
    return replays


def _vocabulary(hashes: HashArray, texts: dict[int, str]) -> dict[int, str] | None:
    found = pd.unique(hashes[hashes != 0])
    return {code: texts[code] for code in found.tolist()} if len(found) <= VOCABULARY else None
