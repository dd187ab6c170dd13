"""The other ways to ask one model for each group, each written as its users write it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from workloads import FAMILIES, KEY, Workload, training_table


def groupby_apply(children: dict[str, Any], frame: pd.DataFrame, features: list[str]) -> pd.Series:
    """The way most notebooks do it."""

    def predict(part: pd.DataFrame) -> pd.Series:
        return pd.Series(children[part.name].predict(part[features]), index=part.index)

    return frame.groupby(KEY, group_keys=False)[features].apply(predict)


def loop_over_groups(children: dict[str, Any], frame: pd.DataFrame, features: list[str]) -> pd.Series:
    """The way most scripts do it."""
    answers = pd.Series(index=frame.index, dtype=object)
    for key, part in frame.groupby(KEY):
        answers.loc[part.index] = children[key].predict(part[features])
    return answers


def sorted_slices(children: dict[str, Any], frame: pd.DataFrame, features: list[str]) -> np.ndarray:
    """The way a careful engineer does it by hand: one sort, arrays only."""
    codes, keys = pd.factorize(frame[KEY])
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(keys) + 1))
    x = frame[features].to_numpy()[order]
    answers = np.empty(len(frame))
    for i, key in enumerate(keys):
        answers[order[bounds[i] : bounds[i + 1]]] = children[key].predict(x[bounds[i] : bounds[i + 1]])
    return answers


class EagerDict:
    """A pyfunc's `predict` over a dict of models that `load_context` read whole, as in MLflow's tutorials."""

    def __init__(self, children: dict[str, Any], features: list[str]) -> None:
        self._children = children
        self._features = features

    def predict(self, frame: pd.DataFrame) -> pd.Series:
        """Ask the children, group by group."""
        parts = []
        for key, part in frame.groupby(KEY):
            parts.append(pd.Series(self._children[key].predict(part[self._features]), index=part.index))
        return pd.concat(parts).reindex(frame.index)


def grouped_predictor(work: Workload, groups: int) -> Any:
    """Fit scikit-lego's GroupedPredictor on the training rows of the first groups."""
    from sklego.meta import GroupedPredictor

    table = training_table(work.family, min(groups, work.groups), work.train_rows)
    predictor = GroupedPredictor(FAMILIES[work.family](), groups=[KEY], use_global_model=False)
    return predictor.fit(table[[KEY, *work.features]], table["y"])


def ready_slices(work: Workload, children: dict[str, Any], frame: pd.DataFrame) -> list[tuple[Any, Any]]:
    """Make the floor's input: every child with its rows, ready to be predicted."""
    return [(children[key], work.own_input(part)) for key, part in frame.groupby(KEY)]


def predict_all(slices: Sequence[tuple[Any, Any]]) -> None:
    """Take the floor: the children's own `predict`, and nothing else."""
    for child, x in slices:
        child.predict(x)
