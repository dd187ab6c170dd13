"""Judge a group's new child and the one it has on fresh rows, which neither has seen; the old child is never fitted.

Where there is a time, fresh rows are newer than those that the old child saw, and the new one is judged as a backtest
inside them: before each of a few origins its candidate is fitted on all rows until then, and both answer the rows
behind it (prequential evaluation; Dawid 1984, "Statistical theory: the prequential approach", JRSS A 147). So the new
child is seen to learn from the fresh weeks, and no row that it answers was among those it was fitted on.

Without a time, fresh rows are those whose hash is not among those of the old child's rows. No order has a meaning, so
they are cross-validated: each part of them is answered by what was fitted on all other rows.
"""

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, is_among
from metamodel.evaluation.metrics import PRIMARY
from metamodel.evaluation.pooled_selection import Contest
from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.significance import paired_p_values
from metamodel.fitting.group import GroupData
from metamodel.fitting.model_selection import fit_candidate, predictions_of
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.fitting.warm_start import EarlierChild

__all__ = ["compared", "fresh_folds", "judge_incumbent", "unseen_folds"]

# Origins, or parts of the unseen rows, at most; each costs one more fit.
_ORIGINS = 4

_Folds = list[tuple[BoolArray, BoolArray]]

_OLD, _NEW = "incumbent", "challenger"


def fresh_folds(times: AnyArray, through: float | int) -> _Folds:
    """Split the fresh rows of a group into a few blocks, each tested by what was fitted on all rows before it.

    Parameters
    ----------
    times
        From `splits.time_order`, shape (n_rows,).
    through
        The newest row that the old child saw.

    Returns
    -------
    list of (train, test)
        Masks of shape (n_rows,); none where no row is fresh, and none without rows to train on.

    Examples
    --------
    >>> times = np.array([1, 2, 3, 4])
    >>> [(train.astype(int).tolist(), test.astype(int).tolist()) for train, test in fresh_folds(times, 2)]
    [([1, 1, 0, 0], [0, 0, 1, 0]), ([1, 1, 1, 0], [0, 0, 0, 1])]
    """
    points = np.unique(times[times > through])
    blocks = [block for block in np.array_split(points, min(_ORIGINS, max(1, len(points)))) if len(block)]
    folds = [(times < block[0], (times >= block[0]) & (times <= block[-1])) for block in blocks]
    return folds if all(train.any() for train, _ in folds) else []


def unseen_folds(unseen: BoolArray, draws: HashArray) -> _Folds:
    """Split the unseen rows of a group into a few parts, each tested by what was fitted on all other rows.

    Parameters
    ----------
    unseen
        Which rows the old child has not seen, shape (n_rows,).
    draws
        `GroupData.draw_hashes`, shape (n_rows,): unseen rows with the same one stay together, and the order of the rows
        does not matter.

    Returns
    -------
    list of (train, test)
        Masks of shape (n_rows,); none where no row is unseen, and none without rows to train on.

    Examples
    --------
    >>> unseen, draws = np.array([False, True, True, True]), np.array([5, 9, 7, 9], dtype=np.uint64)
    >>> [(train.astype(int).tolist(), test.astype(int).tolist()) for train, test in unseen_folds(unseen, draws)]
    [([1, 1, 0, 1], [0, 0, 1, 0]), ([1, 0, 1, 0], [0, 1, 0, 1])]
    """
    units = np.unique(draws[unseen])
    parts = np.array_split(units, min(_ORIGINS, max(1, len(units)))) if len(units) else []
    tests = [unseen & np.isin(draws, part) for part in parts]
    return [(~test, test) for test in tests] if all((~test).any() for test in tests) else []


def judge_incumbent(candidate: Candidate, group: GroupData, start: EarlierChild, spec: FitSpec) -> dict[str, float]:
    """Compare a group's chosen candidate with the child that the group has.

    Parameters
    ----------
    candidate
        The chosen one, as its parameters were tuned.
    group
        All of the group's rows, in the order of time.
    start
        The child that the group has, and what it has seen.
    spec
        What is fitted.

    Returns
    -------
    dict
        As `compared`; empty without fresh rows.
    """
    folds = _folds(group, start)
    if not folds:
        return {}
    said = [
        predictions_of(fit_candidate(candidate, group.take(train)), group.take(test), spec.task)
        for train, test in folds
    ]
    fresh = np.concatenate([np.flatnonzero(test) for _, test in folds])
    return compared(predictions_of(start.load(), group.take(fresh), spec.task), Predictions.pooled(said), spec)


def compared(incumbent: Predictions, challenger: Predictions, spec: FitSpec) -> dict[str, float]:
    """Set what a new child and the old one say of the same fresh rows beside each other.

    Returns
    -------
    dict
        Columns of the ledger: `fresh_rows`; `gain`, the difference of both mean losses in units of their mean, above 0
        where the new child is better; `gain_se`; `p_value_incumbent`, one-sided, of a new child that is no better.
    """
    answers = {_OLD: incumbent, _NEW: challenger}
    metric = (spec.metric or PRIMARY["regression"]) if spec.task == "regression" else "accuracy"
    contest = Contest.of(answers, metric, _OLD)
    if contest is None:
        return {}
    gap, noise = contest.gain(_OLD, _NEW)  # how much worse the old one is
    old, new = (answers[name].losses(metric) for name in (_OLD, _NEW))
    two_sided = float(
        paired_p_values(old - new, np.zeros(len(old), dtype=np.int64), 1, exact=spec.task != "regression")[0]
    )
    finite = contest.has(_NEW)
    return {
        "fresh_rows": len(old),
        "gain": float(gap) if finite else float("-inf"),
        "gain_se": float(np.sqrt(noise / contest.rows)),
        "p_value_incumbent": two_sided / 2 if gap > 0 else 1 - two_sided / 2,
    }


def _folds(group: GroupData, start: EarlierChild) -> _Folds:
    if isinstance(start.seen, np.ndarray):
        unseen = None if group.contents is None else ~is_among(group.contents, start.seen)
        return [] if unseen is None else unseen_folds(unseen, group.draw_hashes)
    return [] if start.seen is None or group.times is None else fresh_folds(group.times, start.seen)
