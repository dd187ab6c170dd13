"""The reference of many groups from their rows."""

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray, IntArray
from metamodel.evaluation.drift.bins import (
    BINS,
    COMMONEST,
    SLOTS,
    category_slots,
    commonest_categories,
    decile_edges,
    number_slots,
)
from metamodel.evaluation.drift.drift_columns import DriftColumns, functions_of_time
from metamodel.evaluation.drift.drift_reference import (
    REPLAYED_BLOCKS,
    REPLAYED_SCORES,
    VOCABULARY,
    DriftReference,
)
from metamodel.evaluation.drift.replay import replay_categories, replay_numbers

__all__ = ["build_reference"]


def build_reference(
    columns: DriftColumns, groups: IntArray, n_groups: int, times: AnyArray | None = None
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

    Examples
    --------
    >>> columns = DriftColumns.of({"price": np.arange(20.0), "shop": ["a", "b"] * 10})
    >>> reference = build_reference(columns, np.repeat([0, 1], 10), 2)
    >>> reference.counts.sum(axis=2).tolist()
    [[10, 10], [10, 10]]
    """
    order = _in_order(groups, times)
    of_row = groups[order]
    sizes = np.bincount(of_row, minlength=n_groups)
    counts = np.zeros((n_groups, len(columns.values), SLOTS), dtype=np.uint32)
    replays = np.full((*counts.shape[:2], len(REPLAYED_BLOCKS), len(REPLAYED_SCORES)), np.nan, dtype=np.float16)
    edges, commonest, tails, moments = [], [], [], []
    for i, (name, given) in enumerate(columns.values.items()):
        values = given[order]
        if name in columns.texts:
            commonest.append(commonest_categories(values, of_row, n_groups))
            slots = category_slots(values, of_row, commonest[-1], None)
        else:
            edges.append(decile_edges(values, sizes))
            slots = number_slots(values, of_row, edges[-1])
            tails.append(_tails(values, slots, of_row, n_groups))
            moments.append(_moments(values, of_row, n_groups))
        counts[:, i] = np.bincount(of_row * SLOTS + slots, minlength=n_groups * SLOTS).reshape(n_groups, SLOTS)
        if times is not None:
            is_category = name in columns.texts
            replays[:, i] = replay_categories(slots, sizes) if is_category else replay_numbers(values, sizes)
    return DriftReference(
        tuple(columns.values),
        columns.kinds,
        _stacked(edges, (n_groups, BINS - 1), np.float32),
        _stacked(commonest, (n_groups, COMMONEST), np.uint64),
        counts,
        _stacked(tails, (n_groups, 2), np.float32),
        _stacked(moments, (n_groups, 2), np.float32),
        replays,
        {name: _vocabulary(columns.values[name][order], texts) for name, texts in columns.texts.items()},
        frozenset() if times is None else functions_of_time(columns.take(order), times[order]),
    )


def _in_order(groups: IntArray, times: AnyArray | None) -> IntArray:
    rows = np.flatnonzero(groups >= 0)
    if times is None:
        return rows[np.argsort(groups[rows], kind="stable")]
    return rows[np.lexsort((times[rows], groups[rows]))]


def _stacked(parts: list[AnyArray], shape: tuple[int, int], dtype: type[np.generic]) -> AnyArray:
    return np.stack(parts, axis=1) if parts else np.zeros((shape[0], 0, shape[1]), dtype=dtype)


def _tails(values: AnyArray, slots: IntArray, groups: IntArray, n_groups: int) -> AnyArray:
    """Mean of each group's rows in the first and in the last bin."""
    means = []
    for slot in (0, BINS - 1):
        inside = (slots == slot) & np.isfinite(values)
        means.append(_mean(values[inside], groups[inside], n_groups))
    with np.errstate(over="ignore"):
        return np.stack(means, axis=1).astype(np.float32)


def _mean(values: AnyArray, groups: IntArray, n_groups: int) -> AnyArray:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        result: AnyArray = np.bincount(groups, weights=values, minlength=n_groups) / np.bincount(
            groups, minlength=n_groups
        )
    return result


def _moments(values: AnyArray, groups: IntArray, n_groups: int) -> AnyArray:
    """Mean and standard deviation of each group's finite values."""
    there = np.isfinite(values)
    values, groups = values[there].astype(np.float64), groups[there]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _mean(values, groups, n_groups)
        variance = _mean((values - mean[groups]) ** 2, groups, n_groups)
        return np.stack([mean, np.sqrt(variance)], axis=1).astype(np.float32)


def _vocabulary(hashes: HashArray, texts: dict[int, str]) -> dict[int, str] | None:
    found = pd.unique(hashes[hashes != 0])
    return {code: texts[code] for code in found.tolist()} if len(found) <= VOCABULARY else None
