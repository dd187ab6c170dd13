"""Judge a group's candidates on rows that they have not seen, and choose the best one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn import config_context

from metamodel.common.arrays import IntArray, unshared
from metamodel.common.messages import count, error_text
from metamodel.evaluation.holdout import HeldOut
from metamodel.evaluation.metrics import PRIMARY, SECONDARY, is_better, rounding_error, skill
from metamodel.evaluation.pooled_selection import Contest
from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.splits import Fold, folds_of
from metamodel.fitting.baselines import baselines
from metamodel.fitting.group import GroupData, Terminated
from metamodel.fitting.sample_weight import fit_weighted
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.fitting.watched_fit import asks_for_stopping, with_rounds_found
from metamodel.prediction.child import class_probabilities, predictions
from metamodel.prediction.stacks.tree_reader import is_tree_model

__all__ = ["Evaluated", "choose", "evaluate", "fit_candidate", "predictions_of", "training_metrics"]


@dataclass(frozen=True)
class Evaluated:
    """A candidate and how good it is; no metrics and no holdout where there was nothing to judge it on.

    Attributes
    ----------
    facts
        Further columns of the ledger: how many folds, which baseline, and the skill against it.
    answers
        Its answers to all test rows.
    contest
        Of the chosen one of several: how all of them did.
    """

    candidate: Candidate
    metrics: dict[str, float]
    holdout: HeldOut | None
    facts: dict[str, Any] = field(default_factory=dict)
    answers: Predictions | None = None
    contest: Contest | None = None


def choose(
    group: GroupData, spec: FitSpec, of_folds: Sequence[tuple[Candidate, ...]] = ()
) -> tuple[Evaluated, list[str]]:
    """Judge every candidate, and take the best by the group's own rows; of equals the first.

    What other groups' rows say against it is known when all groups are judged; see
    `metamodel.evaluation.pooled_selection`.

    Parameters
    ----------
    group, spec
        The rows, and what to fit.
    of_folds
        For each fold the candidates as its own training rows tuned them (`metamodel.fitting.tuning.Tuned`); empty
        where they are those of `spec`.

    Returns
    -------
    Evaluated
        The chosen candidate.
    list of str
        What the ledger's `reason` should say of it.
    """
    folds = folds_of(group.hashes, group.times, spec.holdout, spec.split, group.split_groups)
    if not folds:
        unwanted = spec.split.kind == "holdout" and spec.holdout == 0
        note = [] if unwanted else [f"no_holdout: {count(len(group.y), 'row')} cannot be split"]
        return Evaluated(spec.candidates[0], {}, None), note
    judged: list[Evaluated] = []
    errors: list[str] = []
    for i, candidate in enumerate(spec.candidates):
        try:
            judged.append(evaluate(candidate, group, folds, spec.task, [fold[i] for fold in of_folds]))
        except Terminated:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - judged by the fit on all rows below, or by another candidate
            errors.append(f"holdout_failed: {candidate.name}: {error_text(error)}")
    if not judged:
        return Evaluated(spec.candidates[0], {}, None), errors
    if group.weights is not None and not any(group.weights[test].any() for _, test in folds):
        errors.append("no_holdout: every held-out row has weight 0")
    metric = _decisive(judged, spec)
    best = _best(judged, metric)
    # Rows of a candidate without the metric would be compared by another one.
    comparable = [evaluated for evaluated in judged if not np.isnan(evaluated.metrics[f"holdout_{metric}"])]
    answers = {evaluated.candidate.name: evaluated.answers for evaluated in comparable if evaluated.answers is not None}
    # Tuned candidates are others in every group.
    contest = Contest.of(answers, metric, best.candidate.name, errors) if spec.tuning is None else None
    return replace(_against_baseline(best, group, folds, spec, metric), contest=contest), errors


def evaluate(
    candidate: Candidate, group: GroupData, folds: Sequence[Fold], task: str, of_folds: Sequence[Candidate] = ()
) -> Evaluated:
    """Fit a candidate on the training rows of every fold and judge it on the test rows, all folds pooled.

    Everything that is fitted, preprocessing in a pipeline too, is fitted on training rows alone; `of_folds` says how
    the candidate was tuned on them, where it was.
    """
    seen, unseen = [], []
    for tuned, fold in zip(of_folds or [candidate] * len(folds), folds, strict=True):
        child = fit_candidate(tuned, group.take(fold[0]))
        of_training, of_test = _predictions_of_fold(child, group, fold, task)
        seen.append(of_training)
        unseen.append(of_test)
    tested = Predictions.pooled(unseen)
    metrics = _prefixed("train", Predictions.pooled(seen).metrics(task)) | _prefixed("holdout", tested.metrics(task))
    rows, last = _last_tested(folds)
    others = (None if values is None else values[rows] for values in (group.times, group.weights, group.children))
    held = HeldOut.of(group.hashes[rows], tested.actual[last], tested.predicted[last], *others)
    return Evaluated(candidate, metrics, held, answers=tested)


def _predictions_of_fold(child: Any, group: GroupData, fold: Fold, task: str) -> tuple[Predictions, Predictions]:
    """Predict a fold's training rows, and its test rows; both at once where the other rows change nothing of a row's.

    That is so for ensembles of trees, whose calls cost several times what few rows cost. What BLAS adds up may differ
    in its last bits with the number of rows.
    """
    train, test = fold
    if not is_tree_model(child):
        return predictions_of(child, group.take(train), task), predictions_of(child, group.take(test), task)
    rows = np.concatenate([np.flatnonzero(train), np.flatnonzero(test)])
    together = predictions_of(child, group.take(rows), task)
    n_train = int(train.sum())
    return together.part(slice(None, n_train)), together.part(slice(n_train, None))


def _last_tested(folds: Sequence[Fold]) -> tuple[IntArray, IntArray]:
    """Find every row that is tested, and where among the pooled answers its last fold has it.

    A backtest whose origins lie closer together than its horizon tests rows several times, the last time from the
    latest origin. A child and its parent are compared on rows, so each counts once.
    """
    tested = np.concatenate([np.flatnonzero(test) for _, test in folds])
    rows, from_behind = np.unique(tested[::-1], return_index=True)
    return rows, len(tested) - 1 - from_behind


def fit_candidate(candidate: Candidate, group: GroupData, *, again: bool = False) -> Any:
    """Fit a copy of a candidate on all rows of a group; `again` where it was fitted before, so that it can be."""
    # A DataFrame becomes a column-major matrix inside scikit-learn. In the same layout a child is the same to the
    # last bit.
    x = unshared(group.x, "F")
    unfitted = candidate.unfitted()
    if asks_for_stopping(unfitted):
        unfitted = with_rounds_found(unfitted, group)
    if not again:
        return fit_weighted(unfitted, x, group.y, group.weights, group.split_groups)
    with config_context(skip_parameter_validation=True):  # the same parameters were looked at by the first fit
        return fit_weighted(unfitted, x, group.y, group.weights, group.split_groups)


def predictions_of(child: Any, group: GroupData, task: str) -> Predictions:
    """Let a fitted child predict the rows of a group."""
    predicted = predictions(child, group.x).reshape(-1)
    if task == "regression":
        return Predictions(group.y, predicted, None, np.empty(0), group.weights)
    probabilities = class_probabilities(child, group.x) if hasattr(child, "predict_proba") else None
    classes = np.asarray(getattr(child, "classes_", np.unique(group.y)))
    return Predictions(group.y, predicted, probabilities, classes, group.weights)


def training_metrics(child: Any, group: GroupData, task: str) -> dict[str, float]:
    """Measure a child on the rows that it was fitted on."""
    return _prefixed("train", predictions_of(child, group, task).metrics(task))


def _decisive(judged: Sequence[Evaluated], spec: FitSpec) -> str:
    """Name the metric that decides: the one asked for, unless nobody has it, or the task's own, if everybody has it."""

    def lacking(metric: str) -> list[bool]:
        return [bool(np.isnan(one.metrics[f"holdout_{metric}"])) for one in judged]

    if spec.metric and not all(lacking(spec.metric)):
        return spec.metric
    return SECONDARY[spec.task] if any(lacking(PRIMARY[spec.task])) else PRIMARY[spec.task]


def _best(judged: Sequence[Evaluated], metric: str) -> Evaluated:
    best = judged[0]
    for one in judged[1:]:
        if is_better(metric, one.metrics[f"holdout_{metric}"], best.metrics[f"holdout_{metric}"]):
            best = one
    return best


def _against_baseline(
    chosen: Evaluated, group: GroupData, folds: Sequence[Fold], spec: FitSpec, metric: str
) -> Evaluated:
    """Set the chosen candidate beside the baseline that is hardest to beat; of equals the simplest one."""
    best: tuple[str, dict[str, float]] | None = None
    for name, answers in baselines(group, folds, spec.task, spec.season):
        metrics = answers.metrics(spec.task)
        if best is None or is_better(metric, metrics[metric], best[1][metric]):
            best = name, metrics
    facts: dict[str, Any] = {"folds": len(folds)}
    if best is None:
        return replace(chosen, facts=facts)
    name, metrics = best
    rounding = rounding_error(metric, group.y)
    gained = skill(metric, chosen.metrics[f"holdout_{metric}"], metrics[metric], rounding)
    return replace(
        chosen,
        metrics=chosen.metrics | _prefixed("baseline", metrics),
        facts={**facts, "baseline": name, "skill": gained},
    )


def _prefixed(part: str, metrics: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in metrics.items()}
