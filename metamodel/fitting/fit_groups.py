"""The column `split_groups` as the argument `groups` of a fit: for estimators that take it, or split by it inside."""

import inspect
from typing import Any

from sklearn import config_context
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    StratifiedGroupKFold,
)
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.metadata_routing import get_routing_for_object

from metamodel.common.messages import short
from metamodel.exceptions import InputError
from metamodel.prediction.child import last_step

__all__ = ["check_needs_no_groups", "routes_groups", "takes_groups"]

_GROUP_SPLITTERS = (GroupKFold, GroupShuffleSplit, LeaveOneGroupOut, LeavePGroupsOut, StratifiedGroupKFold)


def check_needs_no_groups(estimator: Any) -> None:
    """Insist on an estimator that does not split its rows by groups inside: there is no column of them.

    Raises
    ------
    InputError
        It does.
    """
    for name, value in estimator.get_params(deep=True).items():
        if isinstance(value, _GROUP_SPLITTERS):
            raise InputError(
                f"{type(last_step(estimator)).__name__} splits by groups ({name}={short(value)}), but split_groups "
                "names no column. Name the column whose equal values stay together."
            )


def takes_groups(estimator: Any) -> bool:
    """Whether `fit`, of a pipeline that of its last step, takes `groups` as it is.

    Examples
    --------
    >>> from sklearn.linear_model import LassoCV, Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> search = GridSearchCV(Ridge(), {"alpha": [1, 9]}, cv=GroupKFold(3))
    >>> takes_groups(search), takes_groups(Ridge()), takes_groups(LassoCV(cv=GroupKFold(3)))
    (True, False, False)
    """
    last = last_step(estimator)
    return isinstance(last, BaseSearchCV) or "groups" in inspect.signature(last.fit).parameters


def routes_groups(estimator: Any) -> bool:
    """Whether something inside an estimator gets `groups` by scikit-learn's metadata routing, where it is on.

    Examples
    --------
    >>> from sklearn.linear_model import LassoCV
    >>> routes_groups(LassoCV(cv=GroupKFold(3))), routes_groups(LassoCV())
    (True, False)
    """
    with config_context(enable_metadata_routing=True):
        return bool(get_routing_for_object(estimator).consumes("fit", {"groups"}))
