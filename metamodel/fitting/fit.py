"""Fit ONE group: a fitted child, or a reason why there is none. No exception of an estimator leaves this module."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray
from metamodel.common.autologging import autologging_off
from metamodel.common.messages import count, error_text, short
from metamodel.common.time_limit import TimeLimitReached, time_limit
from metamodel.evaluation.splits import copies, identities, split_hashes
from metamodel.fitting.challenge import judge_incumbent
from metamodel.fitting.group import GroupData, GroupOutcome, Terminated
from metamodel.fitting.model_selection import choose, training_metrics
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.fitting.tuning import Search, TuningRecord, tune
from metamodel.fitting.warm_start import EarlierChild, fit_chosen
from metamodel.fitting.watched_fit import rounds_note
from metamodel.prediction.child import transformed_columns

__all__ = ["fit_group"]


def fit_group(
    group: GroupData, spec: FitSpec, search: Search | None = None, start: EarlierChild | None = None
) -> GroupOutcome:
    """Fit, judge and choose one group's child.

    Rows without a target are left out (and counted in `reason`), and so are exact copies of a row, where the spec says
    so. Each candidate is fitted on training rows and judged on held-out rows; the best one is fitted again on all rows,
    and that is the child. Where there is a time, all of them see their rows in its order.

    Parameters
    ----------
    group
        The group's rows.
    spec
        What to fit.
    search
        What the search for its parameters starts from, where the candidates are tuned.
    start
        What the last fit goes on from, where a warm start is asked for; those that judge never do.

    Returns
    -------
    GroupOutcome
        "fitted", "skipped" (fewer usable rows than `min_rows`) or "failed" with the estimator's own error.
    """
    started = time.perf_counter()
    group, notes = _without_missing_target(group, spec.target_dtype)
    group, duplicates = _told_apart(group, spec)
    group = _in_order_of_time(group)
    facts = {"duplicates": duplicates, "imbalance": _imbalance(group.y, spec.task)}
    if reason := _why_skipped(spec, len(group.y), duplicates, notes):
        return GroupOutcome(group.key, "skipped", len(group.y), reason, facts=facts)
    notes += _target_notes(group.y, spec)
    searched: list[TuningRecord] = []
    with warnings.catch_warnings(record=True) as caught, autologging_off(), spec.settings.for_fits():
        warnings.simplefilter("always")
        outcome = _fitted_or_failed(group, spec, search or Search(), start, searched)
    return replace(
        outcome,
        reason="; ".join([*notes, outcome.reason] if outcome.reason else notes),
        seconds=time.perf_counter() - started,
        warnings=_distinct(caught),
        facts=facts | outcome.facts,
        tuning=_tuning_rows(searched, outcome.facts.get("candidate")),
    )


def _why_skipped(spec: FitSpec, rows: int, duplicates: int, notes: Sequence[str]) -> str:
    """Say why there shall be no child; empty where there shall be one."""
    if spec.skip:
        return "override: skip"
    if rows >= spec.min_rows:
        return ""
    copies = [f"duplicates: {count(duplicates, 'row')} left out"] if duplicates and spec.drop_duplicates else []
    return "; ".join([f"min_rows: {count(rows, 'usable row')}, {spec.min_rows} needed", *notes, *copies])


def _fitted_or_failed(
    group: GroupData, spec: FitSpec, search: Search, start: EarlierChild | None, searched: list[TuningRecord]
) -> GroupOutcome:
    """Turn whatever an estimator raises into the group's outcome."""
    try:
        with time_limit(spec.group_seconds):
            return _fit(group, spec, search, start, searched)
    except Terminated:
        raise
    except TimeLimitReached:
        return GroupOutcome(group.key, "failed", len(group.y), f"time_limit: {spec.group_seconds:g} s")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it may raise anything, and other groups must go on
        return _raised(group, error)


def _fit(
    group: GroupData, spec: FitSpec, search: Search, start: EarlierChild | None, searched: list[TuningRecord]
) -> GroupOutcome:
    """Tune, choose, and fit the chosen one on all rows; `searched` keeps what was searched even where this raises."""
    tuned = tune(group, spec, search, searched)
    evaluated, notes = choose(group, tuned.spec, tuned.of_folds)
    candidate = evaluated.candidate
    if spec.judge_only:
        return GroupOutcome(group.key, "fitted", len(group.y), metrics=evaluated.metrics, holdout=evaluated.holdout)
    child, started_from, cold = fit_chosen(
        candidate, group, start if start is not None and start.warm else None, again=bool(evaluated.metrics)
    )
    metrics = evaluated.metrics or training_metrics(child, group, spec.task)
    notes += [*_tuning_notes(searched, candidate), *_cold_note(cold), *rounds_note(candidate.estimator, child, group)]
    return GroupOutcome(
        group.key,
        "fitted",
        len(group.y),
        "; ".join(notes),
        estimator=candidate.label,
        params=candidate.params,
        metrics=metrics,
        facts={
            **_names(candidate),
            "started_from": started_from,
            "transformed": transformed_columns(child, group.x),
            **evaluated.facts,
            **_against_incumbent(candidate, group, start, spec),
        },
        child=child,
        holdout=evaluated.holdout,
        contest=evaluated.contest,
    )


def _against_incumbent(
    candidate: Candidate, group: GroupData, start: EarlierChild | None, spec: FitSpec
) -> dict[str, float]:
    """Set the chosen candidate beside the child that the group has; nothing where that cannot answer."""
    if start is None or start.refusal:
        return {}
    try:
        return judge_incumbent(candidate, group, start, spec)
    except Terminated:
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - then there is nothing to compare, as without fresh rows
        return {}


def _names(chosen: Candidate) -> dict[str, str]:
    return {"candidate": chosen.name, "own_best": chosen.name}


def _distinct(caught: list[warnings.WarningMessage], limit: int = 3) -> str:
    """Write down a few different warnings, of as many kinds as there are."""
    kinds = [one.category.__name__ for one in caught]
    of_new_kinds_first = sorted(range(len(caught)), key=lambda i: kinds[i] in kinds[:i])
    lines = (f"{kinds[i]}: {short(str(caught[i].message).partition(chr(10))[0], 200)}" for i in of_new_kinds_first)
    return "; ".join(list(dict.fromkeys(lines))[:limit])


def _without_missing_target(group: GroupData, dtype: str) -> tuple[GroupData, list[str]]:
    missing = pd.isna(group.y)
    lost = int(missing.sum())
    if not lost:
        return replace(group, y=group.y.astype(dtype, copy=False)), []
    kept = group.take(~missing)
    return replace(kept, y=kept.y.astype(dtype)), [f"target_missing: {count(lost, 'row')} left out"]


def _told_apart(group: GroupData, spec: FitSpec) -> tuple[GroupData, int]:
    """Leave out exact copies or tell them apart, as the spec says; and count them."""
    same = identities(group.hashes, group.children)
    again = copies(same, group.weights)
    apart = replace(group, hashes=split_hashes(same, group.weights) if spec.spread_copies else same)
    return apart.take(~again) if spec.drop_duplicates and again.any() else apart, int(again.sum())


def _in_order_of_time(group: GroupData) -> GroupData:
    """Sort rows by time, for estimators to which the order is the time; rows of one time, by their content."""
    if group.times is None:
        return group
    order = np.lexsort((group.hashes, group.times))
    return group if (order[1:] > order[:-1]).all() else group.take(order)


def _imbalance(y: AnyArray, task: str) -> float:
    """Rows of the commonest class for each row of the rarest one."""
    if task == "regression" or not len(y):
        return float("nan")
    counts = np.unique(y, return_counts=True)[1]
    return float(counts.max() / counts.min())


def _tuning_rows(searched: Sequence[TuningRecord], chosen: str | None) -> list[dict[str, Any]]:
    return [{**one.to_dict(), "chosen": one.candidate == chosen} for one in searched]


def _tuning_notes(searched: Sequence[TuningRecord], chosen: Candidate) -> list[str]:
    return [f"not_tuned: {one.reason}" for one in searched if one.candidate == chosen.name and one.reason]


def _cold_note(reason: str) -> list[str]:
    return [f"cold_start: {reason}"] if reason else []


def _raised(group: GroupData, error: BaseException) -> GroupOutcome:
    # Of features without a value estimators' own errors say little or nothing.
    null = int(pd.isna(group.x).all(axis=0).sum())
    features = [f"null_features: {null} of {group.x.shape[1]} without a value"] if null else []
    return GroupOutcome(group.key, "failed", len(group.y), "; ".join([*features, "error"]), error_text(error))


def _target_notes(y: AnyArray, spec: FitSpec) -> list[str]:
    if len(y) > 1 and (y == y[0]).all():
        return ["constant_target" if spec.task == "regression" else f"single_class: {short(y[0])}"]
    return []
