"""Copies of estimators that scikit-learn itself cannot copy.

`sklearn.base.clone` insists on getting the very parameters back that it gave. CatBoost copies what can be changed, so
one that names its features by a list, or constrains them by a dict, cannot be cloned: not by us, and not by a grid
search around it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from sklearn.base import clone

__all__ = ["cloneable"]

# CatBoost takes these as texts, "(1,0,-1)", and as no tuple.
_AS_TEXT = ("monotone_constraints", "feature_weights", "first_feature_use_penalties", "per_object_feature_penalties")


def cloneable(estimator: Any) -> Any:
    """Copy an unfitted estimator so that `sklearn.base.clone` can copy the copy again.

    Parameters
    ----------
    estimator
        With `get_params`; never changed.

    Returns
    -------
    estimator
        Unfitted. Where parameters of its parts come back as copies (CatBoost's lists and dicts), it has them in a form
        that cannot be changed, and means the same: a tuple, or CatBoost's own text, "price:-1".

    Raises
    ------
    TypeError, RuntimeError
        There is no way to clone it.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> cloneable(Ridge(alpha=2.0))
    Ridge(alpha=2.0)
    """
    try:
        return clone(estimator)
    except RuntimeError:
        steady = deepcopy(estimator)
        for part in [steady, *steady.get_params(deep=True).values()]:
            if hasattr(part, "get_params") and not isinstance(part, type):
                _steady_params(part)
        return clone(steady)


def _steady_params(part: Any) -> None:
    first, again = part.get_params(deep=False), part.get_params(deep=False)
    copied = {name: _steady(name, value) for name, value in first.items() if value is not again[name]}
    if copied:
        part.set_params(**copied)


def _steady(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return ",".join(f"{feature}:{item}" for feature, item in value.items())
    if not isinstance(value, list | tuple):
        return value
    if name in _AS_TEXT:
        return f"({','.join(map(str, value))})"
    return tuple(_steady("", item) for item in value)
