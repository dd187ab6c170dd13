"""Fit ONE group: a fitted child, or a reason why there is none. No exception of an estimator leaves this room."""

import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from metamodel.evaluation import METRICS, PRIMARY, SECONDARY, classification_metrics, is_better, regression_metrics
from metamodel.frames import AnyArray
from metamodel.heldout import HeldOut
from metamodel.keys import GroupKey
from metamodel.spec import Candidate, FitSpec
from metamodel.splitting import BoolArray, HashArray, hash_holdout, time_holdout
from metamodel.wording import count, short

__all__ = ["GroupData", "GroupOutcome", "Status", "Terminated", "error_text", "fit_group", "metric_names"]

Status = Literal["fitted", "carried", "skipped", "failed"]


class Terminated(SystemExit):
    """Raised by a signal handler while an estimator is at work: the one exit that is not the estimator's own."""


@dataclass(frozen=True)
class GroupData:
    """The rows of one group.

    Parameters
    ----------
    key
        Canonical key: all group columns, or a prefix of them for a parent, or nothing for the global model.
    x
        Features, shape (n_rows, n_features): a matrix or a frame.
    y
        Target, shape (n_rows,); may hold nulls.
    hashes
        From `splitting.row_hashes`, shape (n_rows,).
    times
        From `splitting.time_order`, or None for a random holdout.
    """

    key: GroupKey
    x: AnyArray | pd.DataFrame
    y: AnyArray
    hashes: HashArray
    times: AnyArray | None = None


@dataclass(frozen=True)
class GroupOutcome:
    """What became of one group; `child` is None unless `status` is "fitted".

    Attributes
    ----------
    reason
        Empty, or one word for machines with its figures behind it: "min_rows: ...", "constant_target", "error", ...
    holdout
        Every held-out row, with what a child that had not seen it predicted.
    """

    key: GroupKey
    status: Status
    rows: int
    reason: str = ""
    error: str = ""
    warnings: str = ""
    seconds: float = 0.0
    estimator: str = ""
    params: str = "{}"
    metrics: dict[str, float] = field(default_factory=dict)
    child: Any = None
    holdout: HeldOut | None = None


@dataclass(frozen=True)
class _Evaluated:
    candidate: Candidate
    metrics: dict[str, float]
    holdout: HeldOut | None


def fit_group(group: GroupData, spec: FitSpec) -> GroupOutcome:
    """Fit, judge and choose one group's child.

    Rows without a target are left out (and counted in `reason`). Each candidate is fitted on the training part and
    judged on the holdout; the best one is fitted again on all rows, and that is the child.

    Parameters
    ----------
    group
        The group's rows.
    spec
        What to fit.

    Returns
    -------
    GroupOutcome
        "fitted", "skipped" (fewer usable rows than `min_rows`) or "failed" with the estimator's own error.
    """
    started = time.perf_counter()
    group, notes = _without_missing_target(group, spec.target_dtype)
    rows = len(group.y)
    if rows < spec.min_rows:
        reason = "; ".join([f"min_rows: {count(rows, 'usable row')}, {spec.min_rows} needed", *notes])
        return GroupOutcome(group.key, "skipped", rows, reason)
    notes += _target_notes(group.y, spec)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            evaluated, more = _choose(group, spec)
            child = _fit(evaluated.candidate, group.x, group.y)
            metrics = evaluated.metrics or _prefixed("train", _score(child, group.x, group.y, spec.task)[0])
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything, and other groups must go on
            outcome = GroupOutcome(group.key, "failed", rows, "; ".join([*notes, "error"]), error_text(error))
        else:
            outcome = GroupOutcome(
                group.key,
                "fitted",
                rows,
                "; ".join(notes + more),
                estimator=evaluated.candidate.label,
                params=evaluated.candidate.params,
                metrics=metrics,
                child=child,
                holdout=evaluated.holdout,
            )
    seconds = time.perf_counter() - started
    return replace(outcome, seconds=seconds, warnings=_distinct(caught))


def error_text(error: BaseException) -> str:
    r"""One line for the ledger: the error's class and the first line of its text.

    Examples
    --------
    >>> error_text(ValueError("Input contains NaN.\nRidge does not accept missing values"))
    'ValueError: Input contains NaN.'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {short_line(lines[0])}" if lines else type(error).__name__


def short_line(text: str, limit: int = 500) -> str:
    """Cut a line of an error that quotes half a table."""
    text = text.encode("utf-8", errors="replace").decode()  # a lone surrogate could not be written to any file
    return text if len(text) <= limit else f"{text[:limit]}..."


def _distinct(caught: list[warnings.WarningMessage], limit: int = 3) -> str:
    texts = dict.fromkeys(f"{w.category.__name__}: {short(str(w.message).partition(chr(10))[0], 200)}" for w in caught)
    return "; ".join(list(texts)[:limit])


def _without_missing_target(group: GroupData, dtype: str) -> tuple[GroupData, list[str]]:
    missing = pd.isna(group.y)
    lost = int(missing.sum())
    if not lost:
        return replace(group, y=group.y.astype(dtype, copy=False)), []
    keep = ~missing
    times = None if group.times is None else group.times[keep]
    kept = GroupData(group.key, group.x[keep], group.y[keep].astype(dtype), group.hashes[keep], times)
    return kept, [f"target_missing: {count(lost, 'row')} left out"]


def _target_notes(y: AnyArray, spec: FitSpec) -> list[str]:
    if len(y) > 1 and (y == y[0]).all():
        return ["constant_target" if spec.task == "regression" else f"single_class: {short(y[0])}"]
    return []


def _choose(group: GroupData, spec: FitSpec) -> tuple[_Evaluated, list[str]]:
    held = _holdout_mask(group, spec)
    if held is None:
        note = [] if spec.holdout == 0 else [f"no_holdout: {count(len(group.y), 'row')} cannot be split"]
        return _Evaluated(spec.candidates[0], {}, None), note
    judged: list[_Evaluated] = []
    errors: list[str] = []
    for candidate in spec.candidates:
        try:
            judged.append(_evaluate(candidate, group, held, spec))
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - judged by the fit on all rows below, or by another candidate
            errors.append(f"holdout_failed: {candidate.name}: {error_text(error)}")
    return _best(judged, spec.task) or _Evaluated(spec.candidates[0], {}, None), errors


def _best(judged: list[_Evaluated], task: str) -> _Evaluated | None:
    lacking = any(np.isnan(one.metrics[f"holdout_{PRIMARY[task]}"]) for one in judged)
    metric = SECONDARY[task] if lacking else PRIMARY[task]
    best: _Evaluated | None = None
    for one in judged:
        if best is None or is_better(metric, one.metrics[f"holdout_{metric}"], best.metrics[f"holdout_{metric}"]):
            best = one
    return best


def _holdout_mask(group: GroupData, spec: FitSpec) -> BoolArray | None:
    if spec.holdout == 0:
        return None
    if group.times is not None:
        return time_holdout(group.times, spec.holdout)
    return hash_holdout(group.hashes, spec.holdout)


def _evaluate(candidate: Candidate, group: GroupData, held: BoolArray, spec: FitSpec) -> _Evaluated:
    child = _fit(candidate, group.x[~held], group.y[~held])
    train, _ = _score(child, group.x[~held], group.y[~held], spec.task)
    holdout, predicted = _score(child, group.x[held], group.y[held], spec.task)
    times = None if group.times is None else group.times[held]
    rows = HeldOut.of(group.hashes[held], group.y[held], predicted, times)
    return _Evaluated(candidate, _prefixed("train", train) | _prefixed("holdout", holdout), rows)


def _fit(candidate: Candidate, x: Any, y: AnyArray) -> Any:
    # A DataFrame becomes a column-major matrix inside scikit-learn. In the same layout a child is the same to the
    # last bit.
    x = np.asfortranarray(x) if isinstance(x, np.ndarray) else x
    return clone(candidate.estimator).fit(x, y)


def _score(child: Any, x: Any, y: AnyArray, task: str) -> tuple[dict[str, float], AnyArray]:
    predicted = np.asarray(child.predict(x)).reshape(-1)
    if task == "regression":
        return regression_metrics(y, predicted), predicted
    probabilities = child.predict_proba(x) if hasattr(child, "predict_proba") else None
    classes = np.asarray(getattr(child, "classes_", np.unique(y)))
    return classification_metrics(y, predicted, probabilities, classes), predicted


def _prefixed(part: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in metrics.items()}


def metric_names(task: str) -> list[str]:
    """Names of the ledger's metric columns, in order."""
    return [f"{part}_{metric}" for part in ("train", "holdout") for metric in METRICS[task]]
