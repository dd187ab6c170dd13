"""Read XGBoost's trees from the binary JSON that XGBoost itself writes, whose numbers are those in memory.

The schema is that of XGBoost's model files (``doc/model.schema``), the arithmetic that of its predictor on the
processor: features, thresholds and sums are 32-bit, a row goes left where its feature is less than the threshold.
Nothing here imports XGBoost: it is only there where a child of it is.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.prediction.stacks.tree_layout import FlatTrees, flat_trees
from metamodel.prediction.stacks.trees import TreeForm
from metamodel.prediction.stacks.ubjson import joined, lengths, read_ubj

__all__ = ["form", "is_known"]

_MODULES = ("xgboost.sklearn", "metamodel.fitting.xgboost_classifier")

_KNOWN = ("XGBRegressor", "XGBClassifier", "XGBRFRegressor", "XGBRFClassifier")


def _same(score: AnyArray) -> AnyArray:
    return score


def _logit(share: AnyArray) -> AnyArray:
    return -np.log(np.float32(1) / share - np.float32(1))


# Objective → what follows the sum of the leaves, and how the base score becomes a part of that sum.
_OBJECTIVES: dict[str, tuple[str, Callable[[AnyArray], AnyArray]]] = {
    "reg:squarederror": ("identity", _same),
    "reg:squaredlogerror": ("identity", _same),
    "reg:absoluteerror": ("identity", _same),
    "reg:pseudohubererror": ("identity", _same),
    "reg:gamma": ("log", np.log),
    "reg:tweedie": ("log", np.log),
    "count:poisson": ("log", np.log),
    "binary:logistic": ("classes_single", _logit),
    "multi:softprob": ("classes_single", _same),
    "multi:softmax": ("classes_single", _same),
}


def is_known(model: Any) -> bool:
    """Whether a model is XGBoost's own regressor or classifier, or the one that takes labels, and no other subclass."""
    return type(model).__module__ in _MODULES and type(model).__name__ in _KNOWN


def form(model: Any) -> TreeForm | str:
    """Read a fitted model, or say why it cannot be stacked."""
    if not (isinstance(model.missing, float) and math.isnan(model.missing)):
        return f"{model.missing!r} stands for missing values"
    learner = read_ubj(model.get_booster().save_raw("ubj"))["learner"]
    classes = tuple(model.classes_.tolist()) if hasattr(model, "classes_") else ()
    if problem := _problem(learner, classes):
        return problem
    link, of_base = _OBJECTIVES[learner["objective"]["name"]]
    ensemble = learner["gradient_booster"]["model"]
    base = np.ravel(json.loads(learner["learner_model_param"]["base_score"])).astype(np.float32)
    base = of_base(np.repeat(base, _n_scores(classes)) if len(base) == 1 else base)
    return TreeForm(link, "float32", "float32", True, base, 1.0, _trees(ensemble, model), classes)


def _n_scores(classes: tuple[Any, ...]) -> int:
    return len(classes) if len(classes) > 2 else 1


def _problem(learner: dict[str, Any], classes: tuple[Any, ...]) -> str:
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    if booster["name"] != "gbtree":
        return f"booster {booster['name']}"
    if len(booster["model"].get("weight_drop", ())):  # since 3.4 dart is a gbtree whose trees have weights
        return "booster dart"
    if objective not in _OBJECTIVES or bool(classes) != (_OBJECTIVES[objective][0] == "classes_single"):
        return f"objective {objective}"
    if _n_scores(classes) != max(1, int(learner["learner_model_param"]["num_class"])):
        return f"{learner['learner_model_param']['num_class']} scores for {len(classes)} classes"
    trees = booster["model"]["trees"]
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        return "several outputs a tree"
    return "categorical splits" if joined([tree["split_type"] for tree in trees]).any() else ""


def _trees(ensemble: dict[str, Any], model: Any) -> FlatTrees:
    trees, outputs = ensemble["trees"], ensemble["tree_info"]
    try:
        n_trees = ensemble["iteration_indptr"][model.best_iteration + 1]
    except AttributeError:  # without early stopping there is no best iteration, and all trees count
        n_trees = len(trees)

    def together(name: str) -> AnyArray:
        return joined([tree[name] for tree in trees[:n_trees]])

    left, feature = together("left_children").astype(np.int64), together("split_indices").astype(np.int64)
    conditions = together("split_conditions").astype(np.float32)
    codes = np.where(left < 0, -1, feature * 2 + together("default_left"))
    # Less than a 32-bit number is at most the next smaller one. In a leaf the condition is its value.
    threshold = np.nextafter(conditions, np.float32(-np.inf))
    sizes = lengths([tree["left_children"] for tree in trees[:n_trees]])
    children = (left, together("right_children").astype(np.int64))
    return flat_trees(sizes, codes, children, threshold, conditions[:, None], outputs[:n_trees])
