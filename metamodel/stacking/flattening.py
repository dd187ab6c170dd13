"""Read the trees of scikit-learn's ensembles: what their own `predict` walks through.

The attributes are those of scikit-learn 1.6 to 1.9: ``tree/_tree.pyx`` (`Tree`), ``ensemble/_forest.py``,
``ensemble/_gb.py`` (`_raw_predict`) and ``ensemble/_hist_gradient_boosting`` (`TreePredictor.nodes`,
`_baseline_prediction`). Only these very classes count: a subclass may predict otherwise.
"""

from typing import Any

import numpy as np
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.utils import get_tags

from metamodel.frames import AnyArray
from metamodel.stacking.trees import FlatTree, TreeForm, kernel_available

__all__ = ["TREES", "tree_form"]

_SINGLE = (tree.DecisionTreeRegressor, tree.DecisionTreeClassifier, tree.ExtraTreeRegressor, tree.ExtraTreeClassifier)
_FORESTS = (
    ensemble.RandomForestRegressor,
    ensemble.RandomForestClassifier,
    ensemble.ExtraTreesRegressor,
    ensemble.ExtraTreesClassifier,
)
_BOOSTED = (ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier)
_HISTOGRAM = (ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier)
TREES = (*_SINGLE, *_FORESTS, *_BOOSTED, *_HISTOGRAM)
_LOG_LOSSES = ("poisson", "gamma")


def tree_form(child: Any, n_features: int) -> TreeForm | str:
    """Read a child, or say why it cannot be stacked as an ensemble of trees."""
    kind = type(child)
    if kind not in TREES:
        return f"no stack for {kind.__name__}"
    if not kernel_available():
        return "numba is not installed"
    if child.n_features_in_ != n_features:
        return f"trees over {child.n_features_in_} features"
    if kind in _HISTOGRAM:
        return _histogram(child)
    return _boosted(child) if kind in _BOOSTED else _forest(child)


def _forest(child: Any) -> TreeForm | str:
    if child.n_outputs_ != 1:
        return "several outputs"
    members = child.estimators_ if type(child) in _FORESTS else [child]
    classes = tuple(child.classes_.tolist()) if hasattr(child, "classes_") else ()
    trees = tuple(_flat(member.tree_, -1 if classes else 0) for member in members)
    base = np.zeros(max(1, len(classes)))
    link = "shares" if classes else "identity"
    return TreeForm(link, True, _allows_missing(child), base, float(len(members)), trees, classes)


def _boosted(child: Any) -> TreeForm | str:
    if child.loss == "exponential":
        return "exponential loss"
    if not isinstance(child.init_, str) and type(child.init_) not in (DummyRegressor, DummyClassifier):
        return f"boosting from a {type(child.init_).__name__}"
    classes = tuple(child.classes_.tolist()) if hasattr(child, "classes_") else ()
    base = child._raw_predict_init(np.zeros((1, child.n_features_in_), dtype=np.float32))[0].astype(np.float64)
    trees = tuple(
        _flat(member.tree_, k, child.learning_rate) for stage in child.estimators_ for k, member in enumerate(stage)
    )
    # Gradient boosting gives a decision of exactly 0 to the second of two classes, everything else to the first.
    link = "identity" if not classes else "classes_up" if len(classes) == 2 else "classes"
    return TreeForm(link, True, False, base, 1.0, trees, classes)


def _histogram(child: Any) -> TreeForm | str:
    stages = [predictor for stage in child._predictors for predictor in enumerate(stage)]
    if child.is_categorical_ is not None and np.any(child.is_categorical_):
        return "categorical splits"
    classes = tuple(child.classes_.tolist()) if hasattr(child, "classes_") else ()
    link = "classes" if classes else "log" if child.loss in _LOG_LOSSES else "identity"
    base = np.ravel(child._baseline_prediction).astype(np.float64)
    trees = tuple(_histogram_tree(predictor.nodes, k) for k, predictor in stages)
    return TreeForm(link, False, True, base, 1.0, trees, classes)


def _histogram_tree(nodes: AnyArray, output: int) -> FlatTree:
    leaf = nodes["is_leaf"].astype(bool)
    feature = nodes["feature_idx"].astype(np.int64) * 2 + nodes["missing_go_to_left"]
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    return _preorder(leaf, left, right, feature, nodes["num_threshold"], nodes["value"], output)


def _flat(found: Any, output: int, scale: float = 1.0) -> FlatTree:
    leaf = found.children_left < 0
    feature = found.feature.astype(np.int64) * 2 + found.missing_go_to_left
    value = found.value[:, 0, :] if output < 0 else found.value[:, 0, 0] * scale
    return _preorder(leaf, found.children_left, found.children_right, feature, found.threshold, value, output)


def _preorder(
    leaf: AnyArray,
    left: AnyArray,
    right: AnyArray,
    feature: AnyArray,
    threshold: AnyArray,
    value: AnyArray,
    output: int,
) -> FlatTree:
    order = _visit(leaf.tolist(), left.tolist(), right.tolist())
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    leaf = leaf[order]
    behind = np.where(leaf, 0, place[np.where(leaf, 0, right[order])])
    if output >= 0:
        cut = np.where(leaf, value[order], threshold[order])
        return FlatTree(cut, np.where(leaf, -1, feature[order]), behind, output, np.empty((0, 0)))
    behind[leaf] = np.arange(leaf.sum())
    return FlatTree(threshold[order], np.where(leaf, -1, feature[order]), behind, -1, value[order][leaf])


def _visit(leaf: list[bool], left: list[int], right: list[int]) -> list[int]:
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if not leaf[node]:
            waiting += (right[node], left[node])
    return order


def _allows_missing(child: Any) -> bool:
    return bool(get_tags(child).input_tags.allow_nan)
