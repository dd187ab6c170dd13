"""What is left of a window: counts by group, which add up over workers, days and parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray, IntArray
from metamodel.evaluation.drift.bins import SLOTS
from metamodel.evaluation.drift.drift_reference import PREDICTION
from metamodel.evaluation.drift.model_reference import ModelReference, counted
from metamodel.evaluation.drift.time_functions import TimeFunctions
from metamodel.evaluation.drift.window_rows import OF_LABELS, WindowRows
from metamodel.exceptions import InputError

__all__ = ["INTERVALS", "LABELLED", "OUTSIDE", "ROWS", "TOTALS", "WindowCounts", "count_window"]

# Of each group: rows, labelled ones, those of them that have an interval, and those of these that lie outside.
TOTALS = ("rows", "labelled", "intervals", "outside")

# Places of the totals.
ROWS, LABELLED, INTERVALS, OUTSIDE = range(4)


@dataclass(frozen=True)
class WindowCounts:
    """Counts of the groups that occur in a window.

    Attributes
    ----------
    keys
        Encoded keys.
    bins
        `ModelReference.digests` of each, 0 for a group without a reference, shape (n_groups,).
    columns
        Of the reference.
    counts
        Shape (n_groups, n_columns, 12); int64 in memory.
    totals
        Shape (n_groups, 4): rows, labelled rows, labelled ones with an interval, those of them that lie outside.
    of_times
        What says which columns are functions of time alone in these rows; None where nothing does.
    unreadable, absent
        See `WindowRows`.
    window
        What the window is called; "" where nobody said.
    """

    keys: tuple[str, ...]
    bins: HashArray
    columns: tuple[str, ...]
    counts: AnyArray
    totals: IntArray
    of_times: TimeFunctions | None = None
    unreadable: dict[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    window: str = ""

    @property
    def of_time(self) -> frozenset[str]:
        """Columns that are functions of time alone in these rows."""
        return frozenset() if self.of_times is None else self.of_times.names

    @cached_property
    def places(self) -> pd.Index:
        """Place of each key."""
        return pd.Index(np.array(self.keys, dtype=object))

    def take(self, groups: IntArray, columns: tuple[str, ...]) -> "WindowCounts":
        """Keep some groups, and columns, in the given order."""
        counts = self.counts[groups][:, [self.columns.index(name) for name in columns]]
        keys = tuple(self.keys[group] for group in groups.tolist())
        return replace(
            self, keys=keys, bins=self.bins[groups], columns=columns, counts=counts, totals=self.totals[groups]
        )

    @classmethod
    def together(cls, parts: "Sequence[WindowCounts]") -> "WindowCounts":
        """Add up the counts of several parts of a window: the same to the last bit whatever the parts.

        Raises
        ------
        InputError
            They were counted against different models.
        """
        codes, keys = pd.factorize(np.array([key for part in parts for key in part.keys], dtype=object), sort=True)
        bins = np.zeros(len(keys), dtype=np.uint64)
        counts = np.zeros((len(keys), len(parts[0].columns), SLOTS), dtype=np.int64)
        totals = np.zeros((len(keys), len(TOTALS)), dtype=np.int64)
        unreadable: dict[str, int] = {}
        start = 0
        for part in parts:
            place = codes[start : start + len(part.keys)]
            start += len(part.keys)
            strange = (bins[place] != 0) & (part.bins != 0) & (bins[place] != part.bins)
            if part.columns != parts[0].columns or strange.any():
                raise InputError("These counts stand in the bins of different models. Add up those of one model.")
            bins[place] = np.maximum(bins[place], part.bins)
            counts[place] += part.counts
            totals[place] += part.totals
            for name, number in part.unreadable.items():
                unreadable[name] = unreadable.get(name, 0) + number
        of_times = TimeFunctions.together(part.of_times for part in parts)
        absent = tuple(name for name in parts[0].absent if all(name in part.absent for part in parts))
        names = max(part.window for part in parts)
        return cls(tuple(keys.tolist()), bins, parts[0].columns, counts, totals, of_times, unreadable, absent, names)

    def plus(self, earlier: "WindowCounts | None") -> "WindowCounts":
        """Add what was counted of the window before, if anything was; see `together`."""
        return self if earlier is None else WindowCounts.together([earlier, self])

    def with_labels(self, judged: "WindowCounts") -> "WindowCounts":
        """Put what labels say, counted again of all rows of the window, in the place of what they said before."""
        counts, totals = self.counts.copy(), self.totals.copy()
        place = judged.places.get_indexer(self.places)
        there = place >= 0
        there[there] = judged.bins[place[there]] == self.bins[there]  # a child that was retrained meanwhile has others
        of_labels = [name in OF_LABELS for name in self.columns]
        counts[np.ix_(there, of_labels)] = 0
        totals[there, LABELLED:] = 0
        counts[np.ix_(there, of_labels)] = judged.counts[place[there]][:, of_labels]
        totals[there, LABELLED:] = judged.totals[place[there], LABELLED:]
        return replace(self, counts=counts, totals=totals)

    def with_features(self, counted: "WindowCounts") -> "WindowCounts":
        """Put what was counted of the features elsewhere beside what is known of the rows themselves."""
        counts = self.counts.copy()
        place = counted.places.get_indexer(self.places)
        there = place >= 0
        there[there] = counted.bins[place[there]] == self.bins[there]
        elsewhere = [name for name in counted.columns if name not in (PREDICTION, *OF_LABELS)]
        for name in (name for name in self.columns if name in elsewhere):
            counts[there, self.columns.index(name)] = counted.counts[place[there], counted.columns.index(name)]
        return replace(self, counts=counts)

    def aligned(self, reference: ModelReference) -> tuple[AnyArray, IntArray]:
        """Bring counts and totals into the order of a reference; groups whose bins are others have no counts."""
        place = self.places.get_indexer(reference.places)
        usable = place >= 0
        usable[usable] = self.bins[place[usable]] == reference.digests[usable]
        order = [self.columns.index(name) if name in self.columns else -1 for name in reference.cells.columns]
        counts = np.zeros((len(reference), len(order), SLOTS), dtype=np.int64)
        for i, column in enumerate(order):
            if column >= 0:
                counts[usable, i] = self.counts[place[usable], column]
        totals = np.zeros((len(reference), len(TOTALS)), dtype=np.int64)
        totals[usable] = self.totals[place[usable]]
        return counts, totals


def count_window(reference: ModelReference, rows: WindowRows) -> WindowCounts:
    """Count the rows of a window, or of a part of it."""
    n_groups = len(rows.texts)
    totals = np.zeros((n_groups, len(TOTALS)), dtype=np.int64)
    marks = (
        np.ones(len(rows), dtype=bool),
        np.zeros(len(rows), dtype=bool) if rows.labelled is None else rows.labelled,
        rows.outside >= 0,
        rows.outside == 1,
    )
    for i, mark in enumerate(marks):
        totals[:, i] = np.bincount(rows.codes[mark], minlength=n_groups)
    place = reference.places.get_indexer(rows.texts)
    there = place >= 0
    counts = counted(reference, rows)
    bins = np.zeros(n_groups, dtype=np.uint64)
    bins[there] = reference.digests[place[there]]
    named = rows.texts != ""
    return WindowCounts(
        tuple(rows.texts[named].tolist()),
        bins[named],
        reference.cells.columns,
        counts[named],
        totals[named],
        None if rows.times is None else TimeFunctions.of(rows.features, rows.times),
        rows.unreadable,
        rows.absent,
    )
