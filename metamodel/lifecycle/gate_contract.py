"""Rules about what callers rely on and what a version costs: its schema, and budgets of time and bytes."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.display import number_text
from metamodel.bundle.model import MetaModel
from metamodel.common.byte_cache import ByteCache
from metamodel.common.messages import count, listing
from metamodel.lifecycle.gate_conditions import Bound, parse_bound
from metamodel.lifecycle.gate_rules import BudgetRule, SchemaRule
from metamodel.lifecycle.gate_sides import GateCheck, Side, predicted
from metamodel.prediction.answer_form import DETAIL_COLUMNS
from metamodel.tables.grouping import spread

__all__ = ["budget_checks", "paired_ratio", "schema_checks"]

# Different rows that are asked one by one, and how often all of them are.
_ROWS, _TURNS = 16, 12

_OPENINGS = 15

# A ratio counts as above its limit where its lower end at this confidence is.
_CONFIDENCE = 0.95

_MEGABYTE = 1e6

# A multiple counts from this difference on. A file of children takes 0.13 MB however few they are, and an update adds
# one: beside a bundle of a few groups that is half as much again, and no disk notices.
_SMALL = {"bundle_mb": 1.0}


def schema_checks(rule: SchemaRule, candidate: Side, champion: Side | None) -> Iterator[GateCheck]:
    """Compare what callers send and get."""
    names = ("removed", "kind_changed", "added")
    limits = {name: limit for name in names if (limit := getattr(rule, name)) is not None}
    if champion is None:
        yield from (GateCheck.without_champion("schema", name, float(limit)) for name, limit in limits.items())
        return
    old, new = _described(champion), _described(candidate)
    lost = {
        "removed": [f"{what} {name!r}" for what, name in old if (what, name) not in new],
        "kind_changed": [
            f"{what} {name!r} is {new[what, name]}, was {kind}"
            for (what, name), kind in old.items()
            if new.get((what, name), kind) != kind
        ],
        "added": [f"{what} {name!r}" for what, name in new if what == "feature" and (what, name) not in old],
    }
    for name, limit in limits.items():
        changes = lost[name]
        words = f"{count(len(changes), 'change')}: {listing(changes, 4)}" if changes else "nothing"
        details = tuple({"name": change} for change in changes[:20])
        yield GateCheck("schema", name, len(changes) <= limit, words, len(changes), float(limit), details=details)


def _described(side: Side) -> dict[tuple[str, str], str]:
    """Map what there is, and its name, to its kind."""
    manifest = side.model.manifest
    described: dict[tuple[str, str], str] = {
        ("group column", column.name): column.kind for column in manifest.keys.columns
    }
    described |= {("feature", feature.name): feature.kind for feature in manifest.features.features}
    described |= {("class", str(label)): type(label).__name__ for label in manifest.target.classes}
    columns = [name for name in side.answers.columns if name not in DETAIL_COLUMNS]
    kinds = {"prediction": manifest.target.label_kind or "number"}
    return described | {("answer's column", str(name)): kinds.get(str(name), "number") for name in columns}


def budget_checks(rule: BudgetRule, candidate: Side, champion: Side | None, frame: pd.DataFrame) -> Iterator[GateCheck]:
    """Measure both versions in turns."""
    models = [side.model for side in (candidate, champion) if side is not None]
    measures: dict[str, Callable[[Sequence[MetaModel]], list[list[float]]]] = {
        "one_row_ms": lambda models: _row_times(models, frame),
        "bundle_mb": _sizes,
        "open_ms": _opening_times,
    }
    for name, measure in measures.items():
        bound = parse_bound(getattr(rule, name))
        if bound is None:
            continue
        if bound.relative and champion is None:
            yield GateCheck.without_champion("budget", name, bound.number)
        elif name == "one_row_ms" and not len(frame):
            yield GateCheck.missing("budget", name, "the table has no row", bound.number)
        else:
            yield _budget_check(name, bound, measure(models))


def _budget_check(name: str, bound: Bound, measured: list[list[float]]) -> GateCheck:
    unit = name.rpartition("_")[2].upper().replace("MS", "ms")
    medians = [statistics.median(values) for values in measured]
    if not bound.relative:
        words = f"{number_text(medians[0])} {unit}, at most {bound.number:g}"
        return GateCheck("budget", name, medians[0] <= bound.number, words, medians[0], bound.number)
    ratio, lower = paired_ratio(measured[0], measured[1], _CONFIDENCE)
    small = _SMALL.get(name, 0.0)
    passed = not (ratio > bound.number and lower > bound.number) or medians[0] - medians[1] < small
    noise = f", surely {lower:.2f} times" if len(measured[0]) > 1 else ""
    words = (
        f"{number_text(medians[0])} {unit}, {ratio:.2f} times the champion's {number_text(medians[1])}{noise}; "
        f"at most {bound.number:g} times" + (f" or {small:g} {unit} more" if small else "")
    )
    return GateCheck("budget", name, passed, words, ratio, bound.number)


def paired_ratio(new: Sequence[float], old: Sequence[float], confidence: float) -> tuple[float, float]:
    """Give the ratio of two medians of times that were taken in turns, and how large it surely is.

    The second is the lower end of the exact one-sided interval for the median of the ratios of the pairs (an order
    statistic), so that a neighbour's load, which falls on both of a pair or makes a few pairs wild, does not decide.

    Examples
    --------
    >>> paired_ratio([2.0] * 9, [1.0] * 9, 0.95)
    (2.0, 2.0)
    >>> paired_ratio([2.0], [1.0], 0.95)
    (2.0, 2.0)
    """
    from scipy.stats import binom

    ratio = statistics.median(new) / max(statistics.median(old), 1e-12)
    pairs = np.sort(np.asarray(new) / np.maximum(np.asarray(old), 1e-12))
    place = int(binom.ppf(1 - confidence, len(pairs), 0.5))
    return float(ratio), float(pairs[min(place, len(pairs) - 1)])


def _row_times(models: Sequence[MetaModel], frame: pd.DataFrame) -> list[list[float]]:
    places = spread(len(frame), _ROWS)
    for model in models:  # children are loaded once, however often they are asked
        predicted(model, frame.iloc[places])
    rows = [frame.iloc[[place]] for place in places.tolist()]
    return _in_turns([[partial(predicted, model, row) for row in rows] for model in models], _TURNS)


def _opening_times(models: Sequence[MetaModel]) -> list[list[float]]:
    return _in_turns([[partial(_open, model.bundle.path)] for model in models], _OPENINGS)


def _open(path: Path) -> None:
    MetaModel(path, ByteCache(0)).warm_up()


def _in_turns(calls: Sequence[Sequence[Callable[[], Any]]], turns: int) -> list[list[float]]:
    """Take the milliseconds of each side's calls, the sides one after the other; the first turn is not counted."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(turns + 1):
        for i, pair in enumerate(zip(*calls, strict=True)):
            # Who goes first takes turns too: a processor that slows down slows both.
            sides = list(enumerate(pair))
            for side, call in sides if (turn + i) % 2 else reversed(sides):
                started = time.perf_counter()
                call()
                if turn:
                    times[side].append(1000 * (time.perf_counter() - started))
    return times


def _sizes(models: Sequence[MetaModel]) -> list[list[float]]:
    return [[sum(entry.size for entry in model.manifest.files.values()) / _MEGABYTE] for model in models]
