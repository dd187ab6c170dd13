"""Read the trees of ensembles: what their own `predict` walks through.

The attributes are those of scikit-learn 1.6 to 1.9: ``tree/_tree.pyx`` (`Tree`), ``ensemble/_forest.py``,
``ensemble/_gb.py`` (`_raw_predict`) and ``ensemble/_hist_gradient_boosting`` (`TreePredictor.nodes`,
`_baseline_prediction`). Only these very classes count: a subclass may predict otherwise.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from metamodel.common.arrays import AnyArray
from metamodel.prediction.stacks import xgboost_reader as xgb
from metamodel.prediction.stacks.step_reader import read_steps
from metamodel.prediction.stacks.tree_layout import FlatTrees, flat_trees
from metamodel.prediction.stacks.trees import NO_KERNEL, TreeForm, kernel_available

__all__ = ["is_tree_model", "tree_form"]

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


def is_tree_model(model: Any) -> bool:
    """Whether children of this class, and no subclass of it, may be read."""
    return type(model) in TREES or xgb.is_known(model)


def tree_form(child: Any, n_features: int, features_as: str) -> TreeForm | str:
    """Read a child, or say why it cannot be stacked as an ensemble of trees.

    Parameters
    ----------
    child
        A fitted model, or a pipeline that ends in one.
    n_features, features_as
        Of the matrix that children take: its width and its type.
    """
    steps = [step for _, step in child.steps] if type(child) is Pipeline else [child]
    steps = [step for step in steps if step is not None and not isinstance(step, str)]
    if not steps or not is_tree_model(steps[-1]):
        return f"no stack for {type(steps[-1]).__name__ if steps else 'an empty pipeline'}"
    if not kernel_available():
        return NO_KERNEL
    if steps[:-1] and features_as != "float64":
        return f"the features are {features_as}"
    before = read_steps(steps[:-1])
    if isinstance(before, str):
        return before
    form = _model(steps[-1], n_features)
    return form if isinstance(form, str) else replace(form, steps=before)


def _model(model: Any, n_features: int) -> TreeForm | str:
    if model.n_features_in_ != n_features:
        return f"trees over {model.n_features_in_} features"
    if xgb.is_known(model):
        return xgb.form(model)
    if type(model) in _HISTOGRAM:
        return _histogram(model)
    return _boosted(model) if type(model) in _BOOSTED else _forest(model)


def _forest(child: Any) -> TreeForm | str:
    if child.n_outputs_ != 1:
        return "several outputs"
    members = child.estimators_ if type(child) in _FORESTS else [child]
    classes = tuple(child.classes_.tolist()) if hasattr(child, "classes_") else ()
    trees = _flat([member.tree_ for member in members], [-1 if classes else 0] * len(members))
    base = np.zeros(max(1, len(classes)))
    link = "shares" if classes else "identity"
    return TreeForm(link, "float32", "float64", _allows_missing(child), base, float(len(members)), trees, classes)


def _boosted(child: Any) -> TreeForm | str:
    if child.loss == "exponential":
        return "exponential loss"
    if not isinstance(child.init_, str) and type(child.init_) not in (DummyRegressor, DummyClassifier):
        return f"boosting from a {type(child.init_).__name__}"
    classes = tuple(child.classes_.tolist()) if hasattr(child, "classes_") else ()
    base = child._raw_predict_init(np.zeros((1, child.n_features_in_), dtype=np.float32))[0].astype(np.float64)
    stages = [(k, member.tree_) for stage in child.estimators_ for k, member in enumerate(stage)]
    trees = _flat([found for _, found in stages], [k for k, _ in stages], child.learning_rate)
    # Gradient boosting gives a decision of exactly 0 to the second of two classes, everything else to the first.
    link = "identity" if not classes else "classes_up" if len(classes) == 2 else "classes"
    return TreeForm(link, "float32", "float64", False, base, 1.0, trees, classes)


def _histogram(child: Any) -> TreeForm | str:
    stages = [predictor for stage in child._predictors for predictor in enumerate(stage)]
    if child.is_categorical_ is not None and np.any(child.is_categorical_):
        return "categorical splits"
    classes = tuple(child.classes_.tolist()) if hasattr(child, "classes_") else ()
    if len(classes) == 1:
        return "a single class"
    link = "classes" if classes else "log" if child.loss in _LOG_LOSSES else "identity"
    base = np.ravel(child._baseline_prediction).astype(np.float64)
    nodes = [predictor.nodes for _, predictor in stages]
    trees = _histogram_trees(np.concatenate(nodes), list(map(len, nodes)), [k for k, _ in stages])
    return TreeForm(link, "float64", "float64", True, base, 1.0, trees, classes)


def _histogram_trees(nodes: AnyArray, sizes: list[int], output: list[int]) -> FlatTrees:
    feature = np.where(nodes["is_leaf"], -1, nodes["feature_idx"].astype(np.int64) * 2 + nodes["missing_go_to_left"])
    children = (nodes["left"].astype(np.int64), nodes["right"].astype(np.int64))
    return flat_trees(sizes, feature, children, nodes["num_threshold"], nodes["value"][:, None], output)


def _flat(trees: list[Any], output: list[int], scale: float = 1.0) -> FlatTrees:
    def together(name: str) -> AnyArray:
        return np.concatenate([getattr(found, name) for found in trees])

    left, value, exact = together("children_left"), together("value")[:, 0, :], together("threshold")
    feature = np.where(left < 0, -1, together("feature") * 2 + together("missing_go_to_left"))
    # Features are 32-bit: at most the threshold is at most the largest 32-bit number that is not above it.
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    values = value if output[0] < 0 else value[:, :1] * scale
    sizes = [found.node_count for found in trees]
    return flat_trees(sizes, feature, (left, together("children_right")), threshold, values, output)


def _allows_missing(child: Any) -> bool:
    return bool(get_tags(child).input_tags.allow_nan)
