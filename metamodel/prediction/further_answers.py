"""What a call asks of children beside their prediction: probabilities, scores, or the transformed row.

Whoever answers, the columns are the same: those of the model, not of one child.
"""

from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray, unshared
from metamodel.common.choices import PredictMethod
from metamodel.common.messages import count
from metamodel.exceptions import ChildFailed
from metamodel.prediction.child import class_probabilities

__all__ = ["further_answers", "further_columns", "probability_column"]


def probability_column(label: object) -> str:
    """Name of a class's probability column.

    Examples
    --------
    >>> probability_column("NEAR BAY"), probability_column(np.int64(1))
    ('probability_NEAR BAY', 'probability_1')
    """
    return f"probability_{label}"


def further_columns(method: PredictMethod, classes: tuple[Any, ...], transformed: int) -> tuple[str, ...]:
    """Name the columns that a method adds.

    Parameters
    ----------
    method
        What is asked for.
    classes
        Of all groups; none in a regression.
    transformed
        Columns that `transform` gives.

    Examples
    --------
    >>> further_columns("decision_function", ("no", "yes"), 0), further_columns("transform", (), 2)
    (('decision_function',), ('transform_0', 'transform_1'))
    """
    if method == "predict_proba":
        return tuple(map(probability_column, classes))
    if method == "decision_function" and len(classes) > 2:
        return tuple(f"decision_function_{label}" for label in classes)
    if method == "transform":
        return tuple(f"transform_{i}" for i in range(transformed))
    return () if method == "predict" else (method,)


def further_answers(child: Any, x: Any, method: PredictMethod, classes: tuple[Any, ...], width: int) -> AnyArray:
    """Ask a fitted child.

    Parameters
    ----------
    child
        With the method.
    x
        Rows as the child takes them.
    method
        Any but "predict".
    classes
        Of all groups; none in a regression.
    width
        Number of the columns from `further_columns`.

    Returns
    -------
    array, shape (n_rows, width)
        Of a class that the child has never seen the probability is 0 and the score missing; missing is also what a
        child's `transform` has fewer columns than those of others.

    Raises
    ------
    ChildFailed
        It answers in another shape.
    """
    if method == "predict_proba":
        return _of_classes(child, class_probabilities(child, x), x, classes, 0.0, method)
    given = getattr(child, method)(unshared(x))
    given = np.asarray(given.toarray() if hasattr(given, "toarray") else given, dtype=np.float64)
    if method == "decision_function" and classes:
        return _decisions(child, given, x, classes)
    columns = given.reshape(len(given), 1) if given.ndim == 1 else given
    fits = columns.ndim == 2 and len(columns) == len(x)
    if not fits or columns.shape[1] > width or (columns.shape[1] < width and method != "transform"):
        raise _odd_shape(method, given, x)
    padded = np.full((len(x), width), np.nan)
    padded[:, : columns.shape[1]] = columns
    return padded


def _decisions(child: Any, given: AnyArray, x: Any, classes: tuple[Any, ...]) -> AnyArray:
    """Give each class its score; of two classes one score is for the second, and with its sign turned for the first."""
    if given.ndim == 1 and len(child.classes_) == 2:
        given = np.column_stack([-given, given])
    aligned = _of_classes(child, given, x, classes, np.nan, "decision_function")
    return aligned if len(classes) > 2 else aligned[:, -1:]


def _of_classes(child: Any, given: AnyArray, x: Any, classes: tuple[Any, ...], absent: float, method: str) -> AnyArray:
    """Put a child's columns where its classes stand among those of all groups."""
    if given.shape != (len(x), len(child.classes_)):
        raise _odd_shape(method, given, x)
    aligned = np.full((len(x), len(classes)), absent)
    aligned[:, [classes.index(label) for label in child.classes_.tolist()]] = given
    return aligned


def _odd_shape(method: str, given: AnyArray, x: Any) -> ChildFailed:
    return ChildFailed(f"{method} returned shape {given.shape} for {count(len(x), 'row')}")
