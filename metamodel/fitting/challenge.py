"""Judge a group's new child and the one it has on rows that neither has seen: those newer than what the old one saw.

The old child is never fitted. The new one is judged as a backtest inside the fresh rows: before each of a few origins
its candidate is fitted on all rows until then, and both answer the rows behind it (prequential evaluation; Dawid 1984,
"Statistical theory: the prequential approach", JRSS A 147). So the new child is seen to learn from the fresh weeks, and
no row that it answers was among those it was fitted on.
"""

from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray, BoolArray
from metamodel.evaluation.metrics import PRIMARY
from metamodel.evaluation.pooled_selection import Contest
from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.significance import paired_p_values
from metamodel.fitting.group import GroupData
from metamodel.fitting.model_selection import fit_candidate, predictions_of
from metamodel.fitting.spec import Candidate, FitSpec

__all__ = ["fresh_folds", "judge_incumbent"]

# Origins at most; each costs one more fit.
_ORIGINS = 4

_OLD, _NEW = "incumbent", "challenger"


def fresh_folds(times: AnyArray, through: float | int) -> list[tuple[BoolArray, BoolArray]]:
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


def judge_incumbent(
    candidate: Candidate, group: GroupData, incumbent: Any, through: float | int, spec: FitSpec
) -> dict[str, float]:
    """Compare a group's chosen candidate with the child that the group has.

    Parameters
    ----------
    candidate
        The chosen one, as its parameters were tuned.
    group
        All of the group's rows, in the order of time.
    incumbent
        The fitted child.
    through
        The newest row that it saw.
    spec
        What is fitted.

    Returns
    -------
    dict
        Columns of the ledger: `fresh_rows`; `gain`, the difference of both mean losses in units of their mean, above 0
        where the new child is better; `gain_se`; `p_value_incumbent`, one-sided, of a new child that is no better.
        Empty without fresh rows.
    """
    assert group.times is not None
    folds = fresh_folds(group.times, through)
    if not folds:
        return {}
    said = [
        predictions_of(fit_candidate(candidate, group.take(train)), group.take(test), spec.task)
        for train, test in folds
    ]
    fresh = group.times > through
    answers = {_OLD: predictions_of(incumbent, group.take(fresh), spec.task), _NEW: Predictions.pooled(said)}
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
        "fresh_rows": int(fresh.sum()),
        "gain": float(gap) if finite else float("-inf"),
        "gain_se": float(np.sqrt(noise / contest.rows)),
        "p_value_incumbent": two_sided / 2 if gap > 0 else 1 - two_sided / 2,
    }
