"""Whether a gain on validation rows is more than noise."""

import numpy as np

from metamodel.evaluation import Answers

__all__ = ["LEAST_ERRORS", "gain_errors"]

# A gain counts above so many standard errors: the 95 % point of the normal distribution. One of them is too few for the
# best of many trials, whose score chance has favoured.
LEAST_ERRORS = 1.645


def gain_errors(metric: str, old: Answers, new: Answers) -> float:
    """Tell how much better some answers are than others to the same rows, in standard errors of the difference.

    The difference is taken row by row, so that what makes a row hard for both does not count as noise.

    Parameters
    ----------
    metric
        By which rows are compared.
    old, new
        Answers to the same rows in the same order.

    Returns
    -------
    float
        Negative where the new ones are worse; 0 where nothing differs, or nothing can be said.

    Examples
    --------
    >>> def answers(*predicted):
    ...     return Answers(np.zeros(4), np.array(predicted), None, np.empty(0))
    >>> round(gain_errors("mae", answers(4.0, 3.0, 4.0, 3.0), answers(1.0, 2.0, 2.0, 1.0)), 2)
    4.9
    """
    gains = old.losses(metric) - new.losses(metric)
    weights = np.ones(len(gains)) if old.weights is None else old.weights
    total = weights.sum()
    if not total > 0:
        return 0.0
    mean = weights @ gains / total
    # With weights, so many equal rows would tell as much (Kish's effective sample size).
    rows = total**2 / (weights @ weights)
    spread = weights @ (gains - mean) ** 2 / total
    if rows <= 1 or not mean:
        return 0.0
    return float(mean / np.sqrt(spread / (rows - 1))) if spread > 0 else float(np.copysign(np.inf, mean))
