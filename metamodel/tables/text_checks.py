"""Look at columns of texts before they are encoded: many of them hold something else.

A column that would be numbers but for a few odd fields ("-", "n.a."), by which a whole column of a file is text, is
read as what it is without them: numbers, and nulls in their place. A column of texts that are numbers one and all is
left alone: somebody wanted texts. So are codes with leading zeros ("007").
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import BoolArray
from metamodel.common.messages import listing

__all__ = [
    "DATE",
    "LEADING_ZERO",
    "MOST_ODD_TEXTS",
    "NUMBER",
    "PLAIN_NUMBER",
    "OddFields",
    "TextFacts",
    "are_odd",
    "is_index",
    "left_out",
    "odd_text",
    "text_facts",
    "without_odd_fields",
]

# Python and Java read both alike.
NUMBER = r"^(?=.*\d)\s*[-+]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?([eE][-+]?\d+)?\s*%?\s*$"
DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([ T]\d{1,2}:.*)?\s*$"

# How pandas names the index that a CSV or Parquet file was written with.
_INDEX = re.compile(r"Unnamed: 0(\.\d+)?|__index_level_\d+__")

# Share of the values from which on a column is taken for what they look like, and values that tell.
_MOST, _ENOUGH = 0.9, 20


PLAIN_NUMBER = r"^\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*$"
LEADING_ZERO = r"^\s*[-+]?0\d"

# A column is one of numbers where so many of its fields are, and where few others are different.
_NEARLY_ALL = 0.99
MOST_ODD_TEXTS = 5


@dataclass(frozen=True)
class TextFacts:
    """Counts of a column of texts: values that are there, different ones, and those that look like numbers or dates."""

    present: int
    levels: int
    numbers: int
    dates: int


def is_index(name: str) -> bool:
    """Whether a column is an index that a file brought along, by its name."""
    return _INDEX.fullmatch(name) is not None


def text_facts(values: pd.Series) -> TextFacts:
    """Count in a column of texts; other objects count as present alone."""
    codes, levels = pd.factorize(values, use_na_sentinel=True)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    alike = [_alike(pattern, levels, counts) for pattern in (NUMBER, DATE)]
    return TextFacts(int(counts.sum()), len(levels), *alike)


def odd_text(name: str, facts: TextFacts) -> str:
    """Say what a column of texts probably is; empty where it is what it seems."""
    if facts.present < _ENOUGH:
        return ""
    least = _MOST * facts.present
    if least <= facts.dates:
        return (
            f"Feature {name!r} is text that looks like dates in {facts.dates:,} of {facts.present:,} rows. Name it as "
            "the time column, derive numbers from it (month, days since ...), or leave it out of features."
        )
    if least <= facts.numbers < facts.present:
        return (
            f"Feature {name!r} is text, but looks like numbers in {facts.numbers:,} of {facts.present:,} rows. "
            "Replace the others by nulls and convert the column."
        )
    if least <= facts.levels:
        return (
            f"Feature {name!r} is text with {facts.levels:,} values in {facts.present:,} rows, which tells rows apart "
            "and nothing of new ones. Leave it out of features."
        )
    return ""


def left_out(names: Iterable[str]) -> str:
    """Say which columns are no features because they are indexes."""
    return (
        f"Column {listing(map(repr, names))} is an index that a file brought along, and was left out of the features. "
        "Name it in features to use it all the same."
    )


@dataclass(frozen=True)
class OddFields:
    """What stands in the way of numbers in one column.

    Parameters
    ----------
    name
        The column.
    texts
        The different ones, sorted.
    odd, present
        How many fields are such a text, and how many are there at all.
    """

    name: str
    texts: tuple[str, ...]
    odd: int
    present: int

    @property
    def finding(self) -> str:
        """Say what was found, and what became of it."""
        return (
            f"Feature {self.name!r} is text, but a number in {self.present - self.odd:,} of {self.present:,} rows. The "
            f"others hold {listing(map(repr, self.texts))}, which is taken for null, now and in every later table. "
            "Correct the fields where they mean something else."
        )


def are_odd(numbers: int, present: int) -> bool:
    """Whether so many fields are numbers that the others are odd ones.

    Examples
    --------
    >>> are_odd(399, 400), are_odd(400, 400), are_odd(380, 400), are_odd(19, 20)
    (True, False, False, False)
    """
    return present >= _ENOUGH and _NEARLY_ALL * present <= numbers < present


def without_odd_fields(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[OddFields], BoolArray]:
    """Read columns of texts as numbers where that is what they are but for a few fields.

    Parameters
    ----------
    frame
        The training table.
    names
        Its features.

    Returns
    -------
    frame : DataFrame
        With columns of floats in the place of those.
    odd : list of OddFields
        What was taken for null.
    rows : ndarray of bool, shape (n_rows,)
        In which rows.
    """
    converted: dict[str, pd.Series] = {}
    every: list[OddFields] = []
    rows = np.zeros(len(frame), dtype=bool)
    for name in names:
        if frame[name].dtype != object and not isinstance(frame[name].dtype, pd.StringDtype):
            continue
        codes, levels = pd.factorize(frame[name], use_na_sentinel=True)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        numbers, odd = _read(levels)
        odd_levels = np.isnan(numbers)
        texts = tuple(sorted(odd))
        if len(texts) != odd_levels.sum() or not 0 < len(texts) <= MOST_ODD_TEXTS:
            continue
        counted = OddFields(name, texts, int(counts[odd_levels].sum()), int(counts.sum()))
        if are_odd(counted.present - counted.odd, counted.present):
            every.append(counted)
            converted[name] = pd.Series(np.append(numbers, np.nan)[codes], index=frame.index)
            rows |= np.append(odd_levels, False)[codes]
    return (frame.assign(**converted) if converted else frame), every, rows


def _read(levels: Sequence[object]) -> tuple[np.ndarray, set[str]]:
    """Read different values as numbers, NaN for what is none; and the texts among these, none where codes are meant."""
    numbers, odd = [], set()
    for level in levels:
        if isinstance(level, str) and re.match(LEADING_ZERO, level):
            return np.full(len(levels), np.nan), set()
        if isinstance(level, str) and not re.match(PLAIN_NUMBER, level):
            odd.add(level)
        is_number = isinstance(level, Real) and not types.is_bool(level)
        readable = is_number or (isinstance(level, str) and level not in odd)
        numbers.append(float(level) if readable else np.nan)  # type: ignore[arg-type]
    return np.array(numbers, dtype=np.float64), odd


def _alike(pattern: str, levels: Iterable[object], counts: np.ndarray) -> int:
    found = [isinstance(one, str) and bool(one.strip()) and re.match(pattern, one) is not None for one in levels]
    return int(counts[np.array(found, dtype=bool)].sum()) if found else 0
