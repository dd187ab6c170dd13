"""What pipelines do to the features before their trees: imputing and scaling, in the very arithmetic of scikit-learn.

Trees compare features with thresholds, so that a last bit decides: nothing is folded together here. The formulas are
those of ``preprocessing/_data.py`` and ``impute/_base.py`` in scikit-learn 1.6 to 1.9, for 64-bit features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["Step", "apply", "imputer_problem", "read_steps", "step_arrays"]


@dataclass(frozen=True)
class Step:
    """One step of one child's pipeline.

    Attributes
    ----------
    kind
        "impute" (the first parameter stands for missing values), "standardize" (the first is taken off, the second
        divides) or "stretch" (the first multiplies, the second is added).
    first, second
        Shape (n_features,).
    """

    kind: str
    first: AnyArray
    second: AnyArray


def read_steps(steps: Sequence[Any]) -> tuple[Step, ...] | str:
    """Read the fitted steps before a model, or say why they cannot be.

    Examples
    --------
    >>> scaler = StandardScaler().fit([[0.0], [2.0]])
    >>> [step.kind for step in read_steps([scaler])], read_steps([MinMaxScaler(clip=True)])
    (['standardize'], 'a MinMaxScaler that clips')
    """
    found = []
    for step in steps:
        read = _read(step)
        if isinstance(read, str):
            return read
        found.append(read)
    return tuple(found)


def imputer_problem(step: Any) -> str:
    """Say why a fitted imputer does something else than to put one number for each missing one; "" if it does not."""
    if step.add_indicator or not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        return "an imputer of another kind"
    return "a feature that was always missing" if not np.isfinite(step.statistics_.astype(np.float64)).all() else ""


def step_arrays(of_children: Sequence[Sequence[Step]]) -> dict[str, AnyArray]:
    """Put the parameters of many children's steps side by side, each of shape (n_features, n_children)."""
    arrays = {}
    for i in range(len(of_children[0])):
        arrays[f"step{i}_first"] = np.stack([steps[i].first for steps in of_children], axis=1)
        arrays[f"step{i}_second"] = np.stack([steps[i].second for steps in of_children], axis=1)
    return arrays


def apply(
    kinds: Sequence[str], arrays: dict[str, AnyArray], feature: int, values: AnyArray, positions: IntArray
) -> AnyArray:
    """Do the steps to one feature of many rows; `positions` says which child each row belongs to."""
    for i, kind in enumerate(kinds):
        first = arrays[f"step{i}_first"][feature].take(positions)
        if kind == "impute":
            values = np.where(np.isnan(values), first, values)
            continue
        second = arrays[f"step{i}_second"][feature].take(positions)
        values = (values - first) / second if kind == "standardize" else values * first + second
    return values


def _read(step: Any) -> Step | str:
    if type(step) is StandardScaler:
        n_features = step.n_features_in_
        mean = step.mean_ if step.with_mean else np.zeros(n_features)
        return Step("standardize", mean, step.scale_ if step.with_std else np.ones(n_features))
    if type(step) is MinMaxScaler:
        return "a MinMaxScaler that clips" if step.clip else Step("stretch", step.scale_, step.min_)
    if type(step) is SimpleImputer:
        statistics = step.statistics_.astype(np.float64)
        return imputer_problem(step) or Step("impute", statistics, np.zeros(len(statistics)))
    return f"no stack for {type(step).__name__}"
