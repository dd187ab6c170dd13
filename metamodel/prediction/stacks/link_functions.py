"""From scores to predictions, labels and probabilities, as scikit-learn does it."""

from typing import Any

import numpy as np
from scipy.special import expit

from metamodel.common.arrays import AnyArray

__all__ = ["finish", "is_close_call"]

# Two scores that are nearer to one another may be one number once they are 32-bit probabilities.
_CLOSE = 1e-5


def finish(
    link: str, scores: AnyArray, known: AnyArray | None, classes: tuple[Any, ...], proba: bool
) -> tuple[AnyArray, AnyArray | None]:
    """Turn scores into answers.

    Parameters
    ----------
    link
        "identity"; "log" (exponential); "classes" (sigmoid or softmax); "classes_up" (the same, but of two equal scores
        the later class wins); "classes_single" (the same in XGBoost's 32-bit numbers); "ovr" (sigmoids brought to sum
        1); "shares" (the scores are probabilities); "labels" (the largest score's class, no probabilities).
    scores
        Shape (n_scores, n_rows); overwritten. A single score of a classifier is that of the second class; only among
        "shares" each class has one.
    known
        Shape (n_scores, n_rows): which classes each row's child has; None where every child has all.
    classes
        Of classifiers, sorted.
    proba
        Whether to give probabilities.

    Returns
    -------
    values, probabilities
        Shapes (n_rows,) and (n_rows, n_classes); probabilities are None where they are not asked for.
    """
    with np.errstate(all="ignore"):
        if link == "identity":
            return scores[0], None
        if link == "log":
            return np.exp(scores[0]), None
        if known is not None:
            scores[~known] = -np.inf
        labels = np.array(classes, dtype=object).take(_winners(link, scores))
        return labels, _probabilities(link, scores) if proba else None


def is_close_call(scores: AnyArray) -> AnyArray:
    """Which rows' class depends on a rounding of 32-bit probabilities; `scores` has shape (n_scores, n_rows)."""
    if len(scores) == 1:
        return np.asarray(np.abs(scores[0]) < _CLOSE)
    second, first = np.partition(scores, -2, axis=0)[-2:]
    return np.asarray(first - second < _CLOSE)


def _winners(link: str, scores: AnyArray) -> AnyArray:
    up = link == "classes_up"
    if len(scores) == 1 and link != "shares":
        return np.asarray(scores[0] >= 0 if up else scores[0] > 0).astype(np.int64)
    return np.asarray(len(scores) - 1 - scores[::-1].argmax(axis=0) if up else scores.argmax(axis=0))


def _probabilities(link: str, scores: AnyArray) -> AnyArray:
    if link == "classes_single":
        return _probabilities("classes", scores.astype(np.float64)).astype(np.float32)
    if len(scores) == 1 and link != "shares":
        second = expit(scores[0])
        return np.stack([1 - second, second], axis=1)
    if link == "shares":
        return np.ascontiguousarray(np.where(np.isneginf(scores), 0, scores).T)
    if link in ("classes", "classes_up"):  # softmax as scikit-learn does it, the largest score taken off first
        shares = np.exp(scores - scores.max(axis=0))
    else:
        shares = expit(scores)
        # scikit-learn's own way out where every sigmoid is zero: all classes alike
        nothing = shares.sum(axis=0) == 0
        shares[:, nothing] = np.isfinite(scores[:, nothing])
    return np.ascontiguousarray((shares / shares.sum(axis=0)).T)
