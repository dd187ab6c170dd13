"""What pipelines do to the features before their trees: imputing and scaling, in the very arithmetic of scikit-learn.

Trees compare features with thresholds, so that a last bit decides: nothing is folded together here. The formulas are
those of ``preprocessing/_data.py`` and ``impute/_base.py`` in scikit-learn 1.6 to 1.9, for 64-bit features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray

__all__ = ["Step", "apply", "step_arrays"]


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
