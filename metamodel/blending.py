"""Blend what answered each row of a call with what its parents answer for the same row.

Training weighs the levels (`metamodel.weighing`), and a bundle keeps the weights of every model of every level.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from metamodel.answers import Answers
from metamodel.exceptions import InvalidKey
from metamodel.frames import AnyArray, Grouping, IntArray
from metamodel.keys import GroupKey, encode_key
from metamodel.shrinkage import weight_columns

__all__ = ["Weights", "blend_answers", "parents_asked"]

# Asks the parents of one level for some rows (None: all); the answers have a place for every row of the call.
_Ask = Callable[[int, IntArray | None], Answers]


class Weights(Protocol):
    """Where the weights of groups of every level are; see `metamodel.group_figures.GroupFigures`."""

    def of(self, keys: Sequence[GroupKey | InvalidKey], columns: Sequence[str]) -> AnyArray:
        """One row a key, NaN where there is none."""
        ...


def parents_asked(keys: Sequence[GroupKey], weights: Weights, depth: int) -> list[GroupKey]:
    """List the parents that have a say in the answers of some groups' own children."""
    shares = np.nan_to_num(weights.of(keys, weight_columns(depth)[:depth]))
    return [key[:level] for key, row in zip(keys, shares.tolist(), strict=True) for level in range(depth) if row[level]]


def blend_answers(answers: Answers, grouping: Grouping, weights: Weights, depth: int, ask: _Ask) -> None:
    """Blend every row's answer with its parents' answers, in place.

    Who answered, and with what status, stays as it is. A row fails if a parent that has a say in it cannot answer it:
    without that parent's part the number would be another model's. A child's own null stays null.

    Parameters
    ----------
    answers
        What children, and parents in their place, said.
    grouping
        The groups of the rows.
    weights
        The weights of all groups of all levels.
    depth
        Number of group columns.
    ask
        Asks the parents of one level.
    """
    shares = _shares(answers, grouping, weights, depth)
    level = np.minimum(answers.status, depth)
    answered = answers.status <= depth
    own = np.take_along_axis(shares, level[:, np.newaxis].astype(np.intp), axis=1)[:, 0]
    lost = answered & np.isnan(own)
    blended = np.where(own == 0, 0.0, own * answers.prediction)
    open_rows = answered & ~np.isnan(blended)
    reasons: dict[int, str] = {}
    for parent in range(depth):
        share = shares[:, parent]
        wanted = open_rows & (share != 0) & ~np.isnan(share) & (level > parent)
        if not wanted.any():
            continue
        said = ask(parent, None if wanted.all() else np.flatnonzero(wanted))
        failed = wanted & ((said.status != parent) | np.isnan(said.prediction))
        for row in np.flatnonzero(failed).tolist():
            key = grouping.keys[grouping.codes[row]]
            reasons[row] = _reason(key, parent, said.error_of(row))
        open_rows &= ~failed
        blended = np.where(wanted, blended + np.where(wanted, share, 0.0) * said.prediction, blended)
    answers.prediction[answered] = blended[answered]
    reasons |= dict.fromkeys(np.flatnonzero(lost).tolist(), "The bundle has no weights for this group. Restore it.")
    if reasons:
        where = np.fromiter(reasons, dtype=np.int64, count=len(reasons))
        answers.withdraw(where, np.array(list(reasons.values()), dtype=object))


def _shares(answers: Answers, grouping: Grouping, weights: Weights, depth: int) -> AnyArray:
    """Weights of each row's levels, shape (n_rows, depth + 1), by the level of who answered it."""
    columns = weight_columns(depth)
    codes = grouping.codes
    shares = np.zeros((len(codes), depth + 1))
    for level in np.unique(answers.status).tolist():
        if level > depth:
            continue
        keys = grouping.keys if level == depth else [_prefix(key, level) for key in grouping.keys]
        of_groups = weights.of(keys, columns)
        rows = np.flatnonzero(answers.status == level)
        shares[rows] = of_groups[codes[rows]]
    return shares


def _prefix(key: GroupKey | InvalidKey, level: int) -> GroupKey | InvalidKey:
    return key[:level] if isinstance(key, tuple) else key


def _reason(key: GroupKey | InvalidKey, level: int, error: str) -> str:
    parent = encode_key(key[:level]) if isinstance(key, tuple) else ""
    return f"Parent {parent}, whose prediction is blended in, gave none. {error}".rstrip()
