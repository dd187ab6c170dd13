"""Warm starts: a group's last fit goes on from the child that an earlier version has of this group.

Only the fit on all rows may start warm. Candidates are judged, and their parameters searched, by fits that start from
nothing, because the earlier child has seen rows that are held out now.

What goes on is the last step of a pipeline. The steps before it stay as the earlier version fitted them: weights and
thresholds that were learned behind one scaler mean nothing behind another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from metamodel.common.arrays import HashArray, unshared
from metamodel.common.messages import error_text, listing
from metamodel.fitting.content import content
from metamodel.fitting.estimator_info import label_and_params
from metamodel.fitting.group import GroupData, Terminated
from metamodel.fitting.model_selection import fit_candidate
from metamodel.fitting.sample_weight import fit_weighted
from metamodel.fitting.spec import Candidate
from metamodel.prediction.child import last_step

__all__ = ["EarlierChild", "Seen", "fit_chosen", "fit_from", "why_only_cold"]

# Parameters of the last step that may differ: how much is added is the new fit's business, and XGBoost writes the
# objective of more than two classes into its own parameters.
_FREE = ("warm_start", "n_estimators", "objective")

# What a child has seen: all rows until a point of time, or those with one of these hashes.
Seen = float | int | HashArray


@dataclass(frozen=True)
class EarlierChild:
    """The child that a group's fit may go on from.

    Parameters
    ----------
    load
        Gives a copy of it that belongs to the caller.
    sha256
        Digest of its bytes.
    refusal
        Why there is none; empty where there is one.
    warm
        Whether the fit goes on from it.
    seen
        Where the new child has to win against it: the newest row that it saw, or the sorted hashes of all rows that it
        saw (`value_hashes`). None where it has not.
    """

    load: Callable[[], Any] = lambda: None
    sha256: str = ""
    refusal: str = ""
    warm: bool = True
    seen: Seen | None = None


def why_only_cold(estimator: Any) -> str:
    """Say why an estimator, or the last step of a pipeline, cannot go on from an earlier fit; empty where it can.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge, SGDRegressor
    >>> why_only_cold(Ridge()), why_only_cold(SGDRegressor())
    ('Ridge has neither warm_start nor partial_fit', '')
    """
    last = last_step(estimator)
    name = type(last).__name__
    if isinstance(last, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        # It bins new rows anew and reads its old trees by the new bins; scikit-learn's documentation says so.
        return f"{name} goes on from a fit on the same rows alone"
    if _is_xgboost(last) or _has_warm_start(last) or hasattr(last, "partial_fit"):
        return ""
    return f"{name} has neither warm_start nor partial_fit"


def fit_from(start: EarlierChild, candidate: Candidate, group: GroupData) -> tuple[Any, str]:
    """Go on from an earlier child on all rows of a group.

    - XGBoost adds `n_estimators` rounds to the earlier booster, fitted on the group's rows.
    - An ensemble with `warm_start` (forests, bagging, gradient boosting) keeps its members and adds `n_estimators`.
    - Any other estimator with `warm_start` begins its iterations at the earlier solution.
    - An estimator with `partial_fit` alone makes one more pass, over all rows that the group has now.

    Parameters
    ----------
    start
        What to go on from.
    candidate
        The chosen one. The earlier child must be of the same class and have the same parameters.
    group
        The group's rows.

    Returns
    -------
    child
        The fitted estimator, or None where it cannot go on.
    reason : str
        Why not; empty where it did.
    """
    if reason := start.refusal or why_only_cold(candidate.estimator):
        return None, reason
    try:
        child = start.load()
        if reason := _unlike(child, candidate.estimator) or _other_classes(child, group):
            return None, reason
        _go_on(child, candidate.estimator, group)
    except Terminated:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - what cannot go on can still be fitted from nothing
        return None, error_text(error)
    return child, ""


def fit_chosen(
    candidate: Candidate, group: GroupData, start: EarlierChild | None, *, again: bool
) -> tuple[Any, str, str]:
    """Fit the chosen candidate on all rows: warm where that is asked for and possible, else from nothing.

    Returns
    -------
    child
        The fitted estimator.
    sha256 : str
        Digest of the child that it went on from; empty where it started from nothing.
    reason : str
        Why it did so though a warm start was asked for.
    """
    if start is None:
        return fit_candidate(candidate, group, again=again), "", ""
    child, reason = fit_from(start, candidate, group)
    if reason:
        return fit_candidate(candidate, group, again=again), "", reason
    return child, start.sha256, ""


def _go_on(child: Any, estimator: Any, group: GroupData) -> None:
    x = unshared(group.x, "F")
    last = child
    while getattr(last, "steps", None):
        x = last[:-1].transform(x) if len(last.steps) > 1 else x
        last = last.steps[-1][1]
    model = last_step(estimator)
    if _is_xgboost(last):
        last.set_params(n_estimators=model.n_estimators)
        fit_weighted(last, x, group.y, group.weights, xgb_model=last.get_booster())
    elif _has_warm_start(last):
        more = {} if not _grows(last) else {"n_estimators": len(last.estimators_) + model.n_estimators}
        last.set_params(warm_start=True, **more)
        fit_weighted(last, x, group.y, group.weights, group.split_groups)
        last.set_params(warm_start=model.warm_start)
    else:
        weights = {} if group.weights is None else {"sample_weight": group.weights}
        last.partial_fit(x, group.y.copy(), **weights)


def _unlike(child: Any, estimator: Any) -> str:
    """Say how the earlier child's class or parameters differ."""
    before, now = label_and_params(child)[0], label_and_params(estimator)[0]
    if before != now:
        return f"another estimator before ({before})"
    mine, theirs = _parameters(child), _parameters(estimator)
    changed = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
    return f"other parameters before ({listing(changed, 3)})" if changed else ""


def _parameters(estimator: Any) -> dict[str, str]:
    """Parameters of all steps, as values that can be compared."""
    params = estimator.get_params(deep=True)
    prefix, last = "", estimator
    ignored = set()
    while getattr(last, "steps", None):
        name = last.steps[-1][0]
        ignored |= {f"{prefix}steps", f"{prefix}{name}"}
        prefix, last = f"{prefix}{name}__", last.steps[-1][1]
    ignored |= {f"{prefix}{name}" for name in _FREE}
    return {name: repr(content(value)) for name, value in params.items() if name not in ignored}


def _other_classes(child: Any, group: GroupData) -> str:
    if not is_classifier(child):
        return ""
    before, now = set(child.classes_.tolist()), set(group.y.tolist())
    only_passes = not _has_warm_start(last_step(child)) and hasattr(last_step(child), "partial_fit")
    if now == before or (only_passes and now < before):
        return ""
    return f"other classes before ({listing(sorted(map(str, before ^ now)), 3)} on one side alone)"


def _is_xgboost(estimator: Any) -> bool:
    return hasattr(estimator, "get_booster")


def _has_warm_start(estimator: Any) -> bool:
    return "warm_start" in estimator.get_params(deep=False)


def _grows(estimator: Any) -> bool:
    return hasattr(estimator, "estimators_") and hasattr(estimator, "n_estimators")
