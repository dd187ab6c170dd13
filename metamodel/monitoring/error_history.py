"""How errors and labels went on over the windows: from their counts, so that late labels count where they belong."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.drift.bins import BINS
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import LABELLED, ROWS, WindowCounts
from metamodel.monitoring.monitor_state import MonitorState

__all__ = ["SHOWN_WINDOWS", "error_history"]

# Half a year of weeks.
SHOWN_WINDOWS: Final = 26


def error_history(state: MonitorState, name: str, reference: ModelReference) -> list[dict[str, Any]]:
    """Say of a window and of those before it, the earliest first, how large the errors were.

    Returns
    -------
    list of dict
        `window`, `rows`, `labelled`; `large` and `expected`: shares of the labelled rows whose error is beyond the
        ninth decile of their group's held-out errors (for classes: whose label is wrong), and of the held-out rows, by
        the same groups. None where nothing is known.
    """
    names = [*state.names_before(name)[: SHOWN_WINDOWS - 1][::-1], name]
    return list(_windows(state, names, reference))


def _windows(state: MonitorState, names: list[str], reference: ModelReference) -> Iterator[dict[str, Any]]:
    measured = ABSOLUTE_ERROR in reference.cells.columns
    place = reference.cells.columns.index(ABSOLUTE_ERROR) if measured else 0
    beyond = _beyond(reference, place) if measured else None
    for name in names:
        window = state.counts(name, only=(ABSOLUTE_ERROR,))
        totals = window.totals.sum(axis=0)
        shares = (None, None) if beyond is None else _shares(window, reference, place, beyond)
        of_window = {"window": name, "rows": int(totals[ROWS]), "labelled": int(totals[LABELLED])}
        yield {**of_window, **dict(zip(("large", "expected"), shares, strict=True))}


def _beyond(reference: ModelReference, place: int) -> AnyArray:
    """Bins of large errors, shape (n_groups, 10)."""
    first = np.full(len(reference), BINS - 1)
    if ERROR not in reference.cells.columns:
        # Labels are right (0) or wrong (1); the lower five edges that are 0 lie below a right one.
        edges = reference.cells.edges[:, reference.cells.place[place]]
        first = 1 + (edges[:, : BINS // 2] <= 0).sum(axis=1)
    return np.asarray(np.arange(BINS) >= first[:, None])


def _shares(
    window: WindowCounts, reference: ModelReference, place: int, beyond: AnyArray
) -> tuple[float | None, float | None]:
    if ABSOLUTE_ERROR not in window.columns:
        return None, None
    now = window.aligned(reference)[0][:, place, :BINS]
    before = reference.cells.counts[:, place, :BINS].astype(np.float64)
    rows, held = now.sum(axis=1), before.sum(axis=1)
    judged = (rows > 0) & (held > 0)
    if not judged.any():
        return None, None
    usual = (before * beyond).sum(axis=1)[judged] / held[judged]
    large = (now * beyond).sum(axis=1)[judged].sum() / rows[judged].sum()
    return float(large), float((usual * rows[judged]).sum() / rows[judged].sum())
