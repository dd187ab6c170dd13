"""What came true, by what names its row: a table that is read part by part, and of which little is kept."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from metamodel.common.arrays import IntArray
from metamodel.datasets import SAMPLES
from metamodel.prediction_log.named_rows import NamedRows
from metamodel.tables.files import is_csv, read_batches
from metamodel.tables.sources import read_source

__all__ = ["LabelRows", "LabelSource"]

_PART_ROWS: Final = 100_000


class LabelSource:
    """A table of labels, or the path of one, in parts; of a CSV file names of rows as they stand there: "007" is not 7.

    Parameters
    ----------
    labels
        The table; also the name of a sample.
    on
        Columns that name a row.

    Attributes
    ----------
    columns
        Of the table.
    """

    def __init__(self, labels: Any, on: Sequence[str]) -> None:
        self._labels = labels
        self._on = tuple(on)
        parts = self._read()
        first = next(parts)
        self.columns = first.columns
        self._opened: Iterator[pd.DataFrame] | None = chain([first], parts)

    def parts(self) -> Iterator[pd.DataFrame]:
        """Yield the rows, at least one part; a second time they are read anew."""
        opened, self._opened = self._opened, None
        yield from opened or self._read()

    def _read(self) -> Iterator[pd.DataFrame]:
        labels = self._labels
        if isinstance(labels, str | Path) and str(labels) not in SAMPLES:
            yield from read_batches(labels, self._on, self._on if is_csv(labels) else ())
            return
        table = read_source(labels, self._on)[0]
        for start in range(0, max(len(table), 1), _PART_ROWS):
            yield table.iloc[start : start + _PART_ROWS]


class LabelRows:
    """Labels, found by what names their rows.

    Memory: 16 bytes a label, beside the label itself and other columns that are asked for.

    Parameters
    ----------
    source
        The table.
    on
        Columns that name a row, together.
    column
        The label; rows without one are left out.
    others
        Further columns to keep.

    Attributes
    ----------
    table
        `column` and `others`, shape (n_labels, ...).
    fitted
        Which labels are known to fit a row, shape (n_labels,): for whoever joins them.
    """

    def __init__(self, source: LabelSource, on: Sequence[str], column: str, others: Sequence[str] = ()) -> None:
        self._source = source
        self._on = list(on)
        self._column = column
        kept: list[pd.DataFrame] = []
        names = list(dict.fromkeys([column, *others]))

        def gathered() -> Iterator[pd.DataFrame]:
            for part in self._known():
                kept.append(part[names])
                yield part

        self._rows = NamedRows(gathered(), self._on)
        filled = [part for part in kept if len(part)] or kept[:1]
        self.table = pd.concat(filled, ignore_index=True)
        self.fitted = np.zeros(len(self.table), dtype=bool)

    def _known(self) -> Iterator[pd.DataFrame]:
        return (part[part[self._column].notna()] for part in self._source.parts())

    def places(self, frame: pd.DataFrame) -> IntArray:
        """Find the label of each row of a table, shape (n_rows,); -1 for none."""
        return self._rows.places(frame)

    def doubled(self) -> tuple[int, list[Any]]:
        """Say how many labels have the name of one before, and which name the first of them has."""
        doubled = self._rows.doubled
        if not len(doubled):
            return 0, []
        before = 0
        for part in self._known():
            if doubled[0] < before + len(part):
                return len(doubled), part[self._on].iloc[int(doubled[0]) - before].tolist()
            before += len(part)
        raise AssertionError("the table of labels changed while it was read")
