"""Rules about the candidate's own figures: those of its ledger, and those on the rows of the gate."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.display import number_text
from metamodel.common.group_status import WITH_CHILD
from metamodel.common.messages import did_you_mean, listing
from metamodel.evaluation.metrics import (
    METRICS,
    PARTS,
    aggregate,
    classification_metrics,
    regression_metrics,
)
from metamodel.exceptions import InputError
from metamodel.lifecycle.gate_conditions import Bound, parse_bound
from metamodel.lifecycle.gate_sides import GateCheck, GateRows, Side, probability_names

__all__ = ["check_floor_names", "floor_checks"]

# Larger is better; of all other figures smaller is.
_HIGH = ("skill_median", "answered", "interval_coverage")

_HIGH_METRICS = ("r2", "accuracy", "f1_macro")

_STATISTICS = ("mean", "median", "p10", "p90", "worst")


def _floor_names(task: str) -> list[str]:
    of_ledger = [f"{part}_{metric}_{name}" for part in PARTS for metric in METRICS[task] for name in _STATISTICS]
    return [*_HIGH, *METRICS[task], *of_ledger]


def check_floor_names(floor: dict[str, Any], task: str) -> None:
    """Insist on figures that there are.

    Raises
    ------
    InputError
        A floor names another one.
    """
    names = _floor_names(task)
    if odd := [name for name in floor if name not in names]:
        raise InputError(
            f"floor: there is no figure {listing(map(repr, odd))}. There are: {', '.join(names[:9])}, ..."
            f"{did_you_mean(odd, names)}"
        )


def floor_checks(floor: dict[str, Any], side: Side, rows: GateRows) -> Iterator[GateCheck]:
    """Hold the candidate's own figures to their limits."""
    if not floor:
        return
    figures = _figures(side, rows)
    for name, limit in floor.items():
        bound = parse_bound(limit)
        assert bound is not None  # or the rules had not been read
        value, measured, why = figures.get(name, (None, 0, _why_not(name, side, rows)))
        if value is None or np.isnan(value):
            yield GateCheck.missing("floor", name, why or "it is null", bound.number, measured)
            continue
        at_least = _at_least(name, bound)
        passed = bool(value >= bound.number if at_least else value <= bound.number)
        words = f"{number_text(value)}, at {'least' if at_least else 'most'} {bound.number:g}"
        yield GateCheck("floor", name, passed, words, float(value), bound.number, measured)


def _at_least(name: str, bound: Bound) -> bool:
    if bound.sign:
        return bound.sign == ">="
    return name in _HIGH or any(metric in name for metric in _HIGH_METRICS)


def _why_not(name: str, side: Side, rows: GateRows) -> str:
    if name in METRICS[side.model.manifest.target.task]:
        return rows.no_target or "no row with a target was answered"
    if name == "interval_coverage":
        return rows.no_target or "the candidate has no intervals (train with interval=0.9)"
    return "the candidate's ledger does not have it (train with a holdout)"


def _figures(side: Side, rows: GateRows) -> dict[str, tuple[float | None, int, str]]:
    """Name → value, rows that it was measured on, and why it is null."""
    manifest = side.model.manifest
    ledger = side.model.ledger
    children = ledger[(ledger["level"] == len(manifest.keys.columns)) & ledger["status"].isin(WITH_CHILD)]
    skill = pd.to_numeric(children["skill"]).dropna() if "skill" in children else pd.Series(dtype=float)
    figures: dict[str, Any] = {"answered": (float(side.answered.mean()), len(side.answered), "")}
    if len(skill):
        figures["skill_median"] = float(skill.median()), int(children["rows"].sum()), ""
    if set(METRICS[manifest.target.task]) <= {name.removeprefix("holdout_") for name in children}:
        trained = aggregate(children, manifest.target.task)
        figures |= {name: (value, int(children["rows"].sum()), "") for name, value in trained.items()}
    return figures | _fresh_figures(side, rows)


def _fresh_figures(side: Side, rows: GateRows) -> dict[str, tuple[float | None, int, str]]:
    if rows.no_target or rows.actual is None:
        return {}
    target = side.model.manifest.target
    judged = side.answered & rows.actual.notna().to_numpy()
    if not judged.any():
        return {}
    number = int(judged.sum())
    truth, answers = rows.actual[judged].to_numpy(), side.answers[judged]
    weights = None if rows.weights is None else rows.weights[judged]
    if target.task == "regression":
        metrics = regression_metrics(truth, answers["prediction"].to_numpy(dtype=np.float64), weights)
    else:
        classes = np.array(target.classes)
        names = probability_names(side.model)
        probabilities = answers[names].to_numpy(dtype=np.float64) if names[0] in answers else None
        labels = answers["prediction"].to_numpy(object).astype(classes.dtype)
        metrics = classification_metrics(truth.astype(classes.dtype), labels, probabilities, classes, weights)
    figures: dict[str, tuple[float | None, int, str]] = {name: (value, number, "") for name, value in metrics.items()}
    if "lower" in answers:
        lower, upper = (answers[name].to_numpy(dtype=np.float64) for name in ("lower", "upper"))
        there = np.isfinite(lower)
        inside = ((truth >= lower) & (truth <= upper))[there]
        share = float(inside.mean()) if len(inside) else None
        figures["interval_coverage"] = share, len(inside), "no answered row has an interval"
    return figures
