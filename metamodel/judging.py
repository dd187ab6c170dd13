"""Judge a group's candidates on rows that they have not seen, and choose the best one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from metamodel.evaluation import METRICS, PRIMARY, SECONDARY, Answers, is_better
from metamodel.frames import AnyArray, IntArray
from metamodel.groups import GroupData, Terminated, error_text
from metamodel.spec import Candidate, FitSpec
from metamodel.splitting import Fold, folds_of
from metamodel.wording import count

__all__ = ["Evaluated", "Holdout", "answer", "choose", "evaluate", "fit_candidate", "metric_names", "score"]


class Holdout(NamedTuple):
    """What a candidate predicted for rows that it had not seen.

    Attributes
    ----------
    rows
        Positions in the group's data, shape (n_held,).
    actual, predicted
        Target, shape (n_held,).
    """

    rows: IntArray
    actual: AnyArray
    predicted: AnyArray


@dataclass(frozen=True)
class Evaluated:
    """A candidate and how good it is; no metrics and no holdout where there was nothing to judge it on."""

    candidate: Candidate
    metrics: dict[str, float]
    holdout: Holdout | None


def choose(group: GroupData, spec: FitSpec) -> tuple[Evaluated, list[str]]:
    """Judge every candidate, and take the best; of equals the first.

    Returns
    -------
    Evaluated
        The chosen candidate.
    list of str
        What the ledger's `reason` should say of it.
    """
    folds = folds_of(group.hashes, group.times, spec.holdout)
    if not folds:
        note = [] if spec.holdout == 0 else [f"no_holdout: {count(len(group.y), 'row')} cannot be split"]
        return Evaluated(spec.candidates[0], {}, None), note
    judged: list[Evaluated] = []
    errors: list[str] = []
    for candidate in spec.candidates:
        try:
            judged.append(evaluate(candidate, group, folds, spec.task))
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - judged by the fit on all rows below, or by another candidate
            errors.append(f"holdout_failed: {candidate.name}: {error_text(error)}")
    return _best(judged, spec.task) or Evaluated(spec.candidates[0], {}, None), errors


def evaluate(candidate: Candidate, group: GroupData, folds: Sequence[Fold], task: str) -> Evaluated:
    """Fit a candidate on the training rows of every fold and judge it on the test rows, all folds pooled.

    Everything that is fitted, preprocessing in a pipeline too, is fitted on training rows alone.
    """
    seen, unseen = [], []
    for train, test in folds:
        part = group.take(train)
        child = fit_candidate(candidate, part)
        seen.append(answer(child, part, task))
        unseen.append(answer(child, group.take(test), task))
    tested = Answers.pooled(unseen)
    rows = np.concatenate([np.flatnonzero(test) for _, test in folds])
    metrics = _prefixed("train", Answers.pooled(seen).metrics(task)) | _prefixed("holdout", tested.metrics(task))
    return Evaluated(candidate, metrics, Holdout(rows, tested.actual, tested.predicted))


def fit_candidate(candidate: Candidate, group: GroupData) -> Any:
    """Fit a clone of a candidate on all rows of a group."""
    # A DataFrame becomes a column-major matrix inside scikit-learn. In the same layout a child is the same to the
    # last bit.
    x = np.asfortranarray(group.x) if isinstance(group.x, np.ndarray) else group.x
    return clone(candidate.estimator).fit(x, group.y)


def answer(child: Any, group: GroupData, task: str) -> Answers:
    """Let a fitted child predict the rows of a group."""
    predicted = np.asarray(child.predict(group.x)).reshape(-1)
    if task == "regression":
        return Answers(group.y, predicted, None, np.empty(0))
    probabilities = child.predict_proba(group.x) if hasattr(child, "predict_proba") else None
    classes = np.asarray(getattr(child, "classes_", np.unique(group.y)))
    return Answers(group.y, predicted, probabilities, classes)


def score(child: Any, group: GroupData, task: str) -> dict[str, float]:
    """Measure a child on the rows that it was fitted on."""
    return _prefixed("train", answer(child, group, task).metrics(task))


def metric_names(task: str) -> list[str]:
    """Names of the ledger's metric columns, in order."""
    return [f"{part}_{metric}" for part in ("train", "holdout") for metric in METRICS[task]]


def _best(judged: list[Evaluated], task: str) -> Evaluated | None:
    lacking = any(np.isnan(one.metrics[f"holdout_{PRIMARY[task]}"]) for one in judged)
    metric = SECONDARY[task] if lacking else PRIMARY[task]
    best: Evaluated | None = None
    for one in judged:
        if best is None or is_better(metric, one.metrics[f"holdout_{metric}"], best.metrics[f"holdout_{metric}"]):
            best = one
    return best


def _prefixed(part: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in metrics.items()}
