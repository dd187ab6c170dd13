"""Look at columns of texts before they are encoded: many of them hold something else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metamodel.common.messages import listing

__all__ = ["DATE", "NUMBER", "TextFacts", "is_index", "left_out", "odd_text", "text_facts"]

# Python and Java read both alike.
NUMBER = r"^(?=.*\d)\s*[-+]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?([eE][-+]?\d+)?\s*%?\s*$"
DATE = r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))([ T]\d{1,2}:.*)?\s*$"

# How pandas names the index that a CSV or Parquet file was written with.
_INDEX = re.compile(r"Unnamed: 0(\.\d+)?|__index_level_\d+__")

# Share of the values from which on a column is taken for what they look like, and values that tell.
_MOST, _ENOUGH = 0.9, 20


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


def _alike(pattern: str, levels: Iterable[object], counts: np.ndarray) -> int:
    found = [isinstance(one, str) and bool(one.strip()) and re.match(pattern, one) is not None for one in levels]
    return int(counts[np.array(found, dtype=bool)].sum()) if found else 0
