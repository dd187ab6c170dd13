"""Read the fitted steps of pipelines before their models: imputers and scalers, or why they cannot be read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from metamodel.prediction.stacks.pipeline_steps import Step

__all__ = ["imputer_problem", "read_steps"]


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
