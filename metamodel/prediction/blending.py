"""Blend what answered each row of a call with what its parents answer for the same row.

Training weighs the levels (`metamodel.training.blend_weights`), and a bundle keeps the weights of every model of
every level.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.exceptions import InvalidKey
from metamodel.prediction.answers import Answers
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import GroupKey, encode_key, prefixes

__all__ = ["Weights", "blend_answers", "parents_asked", "weight_columns"]

# Asks the parents of one level for some rows (None: all); the answers have a place for every row of the call.
_Ask = Callable[[int, IntArray | None], Answers]


class Weights(Protocol):
    """Where the weights of groups of every level are; see `metamodel.bundle.group_values.GroupValues`."""

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
    level = answers.status  # of who answered; above `depth` stand the reasons why nobody did
    shares, own_share = _shares(level, grouping, weights, depth)
    answered = level <= depth
    lost: list[tuple[IntArray, AnyArray | str]] = [
        (np.flatnonzero(answered & np.isnan(own_share)), "The bundle has no weights for this group. Restore it.")
    ]
    with np.errstate(invalid="ignore"):  # infinite predictions of opposite signs, or of no weight
        blended = np.where(own_share == 0, 0.0, own_share * answers.prediction)
        open_rows = answered & ~np.isnan(blended)
        for parent in range(depth):
            share = shares[:, parent]
            asked_rows = open_rows & (share != 0) & (level > parent)
            if not asked_rows.any():
                continue
            said = ask(parent, None if asked_rows.all() else np.flatnonzero(asked_rows))
            failed = asked_rows & ((said.status != parent) | np.isnan(said.prediction))
            if failed.any():
                rows = np.flatnonzero(failed)
                lost.append((rows, _reasons(rows, grouping, parent, said)))
                open_rows &= ~failed
            blended = np.where(asked_rows, blended + share * said.prediction, blended)
    answers.prediction[answered] = blended[answered]
    for rows, errors in lost:
        if len(rows):
            answers.withdraw(rows, errors)


def _shares(level: AnyArray, grouping: Grouping, weights: Weights, depth: int) -> tuple[AnyArray, AnyArray]:
    """Weights of the parents of each row's model, shape (n_rows, depth), 0 where there is none, and its own weight."""
    columns, codes = weight_columns(depth), grouping.codes
    shares, own = np.zeros((len(codes), depth + 1)), np.zeros(len(codes))
    for who in np.flatnonzero(np.bincount(level)).tolist():
        if who <= depth:
            keys = grouping.keys if who == depth else prefixes(grouping.keys, who)
            of_groups = weights.of(keys, columns)
            rows = np.flatnonzero(level == who)
            own[rows] = of_groups[codes[rows], who]
            shares[rows] = np.nan_to_num(of_groups)[codes[rows]]
    return shares[:, :depth], own


def _reasons(rows: IntArray, grouping: Grouping, level: int, said: Answers) -> AnyArray | str:
    """Say for each row which parent did not answer it, and why; nothing where nobody wants to know."""
    if not said.explains:
        return ""
    parents = (grouping.keys[code][:level] for code in grouping.codes[rows].tolist())
    texts = [
        f"Parent {encode_key(parent)}, whose prediction is blended in, gave none. {said.error_of(row)}".rstrip()
        for parent, row in zip(parents, rows.tolist(), strict=True)
    ]
    return np.array(texts, dtype=object)


def weight_columns(depth: int) -> list[str]:
    """Names of the weights, the global level first.

    Examples
    --------
    >>> weight_columns(2)
    ['weight_0', 'weight_1', 'weight_2']
    """
    return [f"weight_{level}" for level in range(depth + 1)]
