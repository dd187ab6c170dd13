"""Whether a gain on validation rows is more than noise."""

import numpy as np
from scipy.special import stdtrit

from metamodel.common.arrays import AnyArray
from metamodel.evaluation.metrics import effective_rows, is_better
from metamodel.evaluation.predictions import Predictions

__all__ = ["gain", "gain_errors", "more_than_noise"]

# A gain counts above this point of Student's distribution. One standard error is too few for the best of many trials,
# whose score chance has favoured.
_LEVEL = 0.95


def gain(metric: str, old: float, new: float) -> float:
    """Tell how much better a metric's new value is, in units of the metric; negative where it is worse.

    Examples
    --------
    >>> gain("rmse", 3.0, 1.0), gain("f1_macro", 0.75, 0.5)
    (2.0, -0.25)
    """
    return new - old if is_better(metric, 1.0, 0.0) else old - new


def more_than_noise(metric: str, old: Predictions, new: Predictions) -> bool:
    """Say whether answers are better than others to the same rows by more than chance explains (one-sided, 95 %).

    Few rows have to gain more standard errors than many: 6.3 of them where there are two rows, 1.65 from some hundred
    on. Fewer than two rows prove nothing.
    """
    rows = effective_rows(_weights(old))
    return rows >= 2 and gain_errors(metric, old, new) > float(stdtrit(rows - 1, _LEVEL))


def gain_errors(metric: str, old: Predictions, new: Predictions) -> float:
    """Tell how much better some answers are than others to the same rows, in standard errors of the difference.

    The difference is taken row by row, so that what makes a row hard for both does not count as noise.

    Parameters
    ----------
    metric
        By which rows are compared.
    old, new
        Predictions for the same rows in the same order.

    Returns
    -------
    float
        Negative where the new ones are worse; infinite where every row gains the same; 0 where nothing differs, or
        nothing can be said.

    Examples
    --------
    >>> def answers(*predicted):
    ...     return Predictions(np.zeros(4), np.array(predicted), None, np.empty(0))
    >>> round(gain_errors("mae", answers(4.0, 3.0, 4.0, 3.0), answers(1.0, 2.0, 2.0, 1.0)), 2)
    4.9
    """
    gains = old.losses(metric) - new.losses(metric)
    weights = _weights(old)
    rows = effective_rows(weights)
    if rows < 2:
        return 0.0
    mean = weights @ gains / weights.sum()
    spread = weights @ (gains - mean) ** 2 / weights.sum()
    if not mean:
        return 0.0
    return float(mean / np.sqrt(spread / (rows - 1))) if spread > 0 else float(np.copysign(np.inf, mean))


def _weights(answers: Predictions) -> AnyArray:
    return np.ones(len(answers.actual)) if answers.weights is None else answers.weights
