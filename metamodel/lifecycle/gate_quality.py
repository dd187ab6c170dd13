"""Rules against the champion's answers to the same rows: regression by slices, and groups that are worse off."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.display import name_of
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.group_status import POOLED
from metamodel.common.messages import count, did_you_mean, listing
from metamodel.evaluation.slice_regression import judged_slices, slice_regressions, smallest_share
from metamodel.exceptions import InputError
from metamodel.lifecycle.gate_rules import SLICE_METRICS, GroupsRule, RegressionRule
from metamodel.lifecycle.gate_sides import (
    GateCheck,
    GateRows,
    Side,
    gives_probabilities,
    slice_codes,
)

__all__ = ["group_checks", "regression_checks", "slice_metric"]

# Slices that are named in the file and on the page.
_DETAILS = 20

# A group with fewer rows is not tested.
_GROUP_ROWS = 8


def slice_metric(rule: RegressionRule | None, model: MetaModel) -> str:
    """Name the metric that slices are compared by.

    Raises
    ------
    InputError
        It is none of this task, or needs probabilities that the candidate does not give.
    """
    task = model.manifest.target.task
    names = SLICE_METRICS[task]
    metric = (rule.metric if rule else None) or names[0]
    if metric not in names:
        raise InputError(
            f"regression: metric={metric!r} is unknown for {task}. Use one of: {', '.join(names)}."
            f"{did_you_mean(metric, names)}"
        )
    if metric == "log_loss" and not gives_probabilities(model):
        raise InputError("regression: metric='log_loss' needs probabilities, which the candidate does not give.")
    return metric


class _Losses:
    """The losses of both sides on the rows that the champion answers and whose target is known."""

    def __init__(self, candidate: Side, champion: Side, rows: GateRows, metric: str) -> None:
        assert rows.actual is not None
        new, old = candidate.losses(metric, rows.actual), champion.losses(metric, rows.actual)
        self.unanswered = int((np.isfinite(old) & ~np.isfinite(new)).sum())
        self.known = np.isfinite(old) & np.isfinite(new)
        if rows.weights is not None:
            self.known &= rows.weights > 0
        self.new, self.old = new[self.known], old[self.known]
        self.squared = metric == "rmse"
        self._clusters = [clusters[self.known] for clusters in rows.clusters]
        self._weights = None if rows.weights is None else rows.weights[self.known]

    def compared(self, slices: IntArray, margin: float) -> pd.DataFrame:
        """Compare every slice of the known rows."""
        return slice_regressions(self.new, self.old, slices, self._clusters, self.margin(margin), self._weights)

    def margin(self, margin: float) -> float:
        """Give the margin of the losses; those of RMSE are squared errors."""
        return (1 + margin) ** 2 - 1 if self.squared else margin

    def judged(self, table: pd.DataFrame, margin: float, confidence: float) -> pd.DataFrame:
        """Judge slices together, in units of the metric."""
        judged = judged_slices(table, self.margin(margin), confidence)
        if self.squared:
            roots = {name: np.sqrt(np.maximum(1 + judged[name], 0)) - 1 for name in ("regression", "lower")}
            judged = judged.assign(**roots, new_loss=np.sqrt(judged["new_loss"]), old_loss=np.sqrt(judged["old_loss"]))
        return judged


def regression_checks(
    rule: RegressionRule, candidate: Side, champion: Side | None, rows: GateRows
) -> Iterator[GateCheck]:
    """Compare the errors of both versions in all rows, and in every slice."""
    metric = slice_metric(rule, candidate.model)
    names = ["all rows", *(f"by {spec}" for spec in rule.slices)]
    if champion is None:
        yield from (GateCheck.without_champion("regression", f"{metric}, {name}", rule.max) for name in names)
        return
    if rows.no_target:
        yield GateCheck.missing("regression", f"{metric}, all rows", rows.no_target, rule.max)
        return
    losses = _Losses(candidate, champion, rows, metric)
    if losses.unanswered or len(losses.new) < rule.min_rows:
        why = f"{len(losses.new):,} rows that both answer, at least {rule.min_rows} are wanted"
        if losses.unanswered:
            why = f"{count(losses.unanswered, 'row')} that the champion answers have no answer of the candidate"
        yield GateCheck.missing("regression", f"{metric}, answered rows", why, rule.max, len(losses.new))
        if len(losses.new) < rule.min_rows:
            return
    parts, labels = [losses.compared(np.zeros(len(losses.new), dtype=np.int64), rule.max)], [["all rows"]]
    for spec in rule.slices:
        codes, texts = slice_codes(rows.frame[losses.known], [name.strip() for name in spec.split(",")])
        parts.append(losses.compared(codes, rule.max))
        labels.append(texts)
    table = pd.concat(
        [part.assign(kind=i, name=texts) for i, (part, texts) in enumerate(zip(parts, labels, strict=True))]
    )
    large = table[table["rows"] >= rule.min_rows].reset_index(drop=True)
    judged = losses.judged(large, rule.max, rule.confidence)
    for i, name in enumerate(names):
        small = len(parts[i]) - int((judged["kind"] == i).sum())
        yield _slice_check(judged[judged["kind"] == i], f"{metric}, {name}", rule, small)


def _slice_check(judged: pd.DataFrame, check: str, rule: RegressionRule, small: int) -> GateCheck:
    left_out = f"{count(small, 'slice')} with fewer than {rule.min_rows} rows not judged" if small else ""
    if not len(judged):
        return GateCheck("regression", check, True, left_out, bound=rule.max)
    ranked = judged.sort_values(["worse", "lower", "regression"], ascending=False, kind="stable")
    worse, named = int(judged["worse"].sum()), len(judged) > 1 or small > 0
    texts = [_slice_words(row, named=named) for row in ranked[: max(1, min(worse, 3))].itertuples()]
    if worse:
        more = f" and {worse - 3:,} more" if worse > 3 else ""
        words = f"{'; '.join(texts)}{more} clearly above +{rule.max:.1%}"
        words += f" ({worse:,} of {count(len(judged), 'slice')})" if named else ""
    else:
        words = f"worst: {texts[0]}" if named else texts[0]
    details = ranked[["name", "rows", "old_loss", "new_loss", "regression", "lower", "p_value_adjusted", "worse"]]
    records = tuple(details.head(_DETAILS).to_dict(orient="records"))
    words = "; ".join(filter(None, (words, left_out)))
    value, rows = float(ranked["regression"].iloc[0]), int(judged["rows"].sum())
    return GateCheck("regression", check, not worse, words, value, rule.max, rows, records)


def _slice_words(row: Any, *, named: bool) -> str:
    lower = f", surely at least {row.lower:+.1%}" if row.lower > -1 else ""  # no loss falls by more than all of it
    name = f"{row.name} " if named else ""
    return f"{name}{row.regression:+.1%} ({row.rows:,} rows{lower})"


def group_checks(
    rule: GroupsRule,
    regression: RegressionRule | None,
    sides: tuple[Side, Side | None],
    rows: GateRows,
) -> Iterator[GateCheck]:
    """Count groups that are worse off."""
    candidate, champion = sides
    statuses = list(candidate.groups.values())
    if rule.failed is not None:
        failed, number = statuses.count("failed"), len(statuses)
        share = failed / number if number else 0.0
        words = f"{failed:,} of {count(number, 'group')} failed in training"
        yield GateCheck("groups", "failed", share <= rule.failed, words, share, rule.failed)
    others = {"lost": rule.lost, "worse": rule.worse, "fallback_rate_up": rule.fallback_rate_up}
    for name, bound in others.items():
        if bound is None:
            continue
        if champion is None:
            yield GateCheck.without_champion("groups", name, bound)
        elif (why := _other_keys(candidate, champion)) and name != "fallback_rate_up":
            yield GateCheck.missing("groups", name, why, bound)
        elif name == "lost":
            yield _lost(candidate, champion, bound)
        elif name == "worse":
            yield _worse(regression or RegressionRule(), (candidate, champion), rows, bound)
        else:
            yield _fallback(candidate, champion, bound)


def _other_keys(candidate: Side, champion: Side) -> str:
    new, old = ([(c.name, c.kind) for c in side.model.manifest.keys.columns] for side in (candidate, champion))
    return "" if new == old else f"the group columns differ ({_columns(old)} before, {_columns(new)} now)"


def _columns(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns)


def _lost(candidate: Side, champion: Side, bound: float) -> GateCheck:
    before, now = champion.served_groups, candidate.served_groups
    lost = sorted(map(name_of, before - now))
    # A limit below 1 is a share, a whole one a number of groups.
    value = len(lost) / max(1, len(before)) if 0 < bound < 1 else float(len(lost))
    examples = f": {listing(lost, 3)}" if lost else ""
    words = f"{len(lost):,} of {count(len(before), 'group')} that had a model before have none now{examples}"
    details = tuple({"name": name} for name in lost[:_DETAILS])
    return GateCheck("groups", "lost", value <= bound, words, value, bound, details=details)


def _worse(regression: RegressionRule, sides: tuple[Side, Side], rows: GateRows, bound: float) -> GateCheck:
    if rows.no_target:
        return GateCheck.missing("groups", "worse", rows.no_target, bound)
    candidate, champion = sides
    losses = _Losses(candidate, champion, rows, slice_metric(regression, candidate.model))
    codes = rows.grouping.codes[losses.known]
    table = losses.compared(codes, regression.max)
    names = [name_of(key) if isinstance(key, tuple) else "no group" for key in rows.grouping.keys[: len(table)]]
    table = table.assign(name=names)[lambda table: table["rows"] >= _GROUP_ROWS].reset_index(drop=True)
    if not len(table):
        why = f"no group has {_GROUP_ROWS} rows that both versions answer; nothing to judge"
        return GateCheck("groups", "worse", True, why, bound=bound, rows=len(losses.new))
    judged = losses.judged(table, regression.max, regression.confidence)
    worse = judged[judged["worse"]].sort_values("lower", ascending=False, kind="stable")
    share = len(worse) / len(judged)
    lower = smallest_share(len(worse), len(judged), regression.confidence)
    examples = f": {listing(worse['name'], 3)}" if len(worse) else ""
    words = (
        f"{len(worse):,} of {count(len(judged), 'judged group')} clearly above +{regression.max:.1%}, "
        f"surely {lower:.1%} of all{examples}"
    )
    details = tuple(worse[["name", "rows", "regression", "lower"]].head(_DETAILS).to_dict(orient="records"))
    return GateCheck("groups", "worse", lower <= bound, words, share, bound, int(judged["rows"].sum()), details)


def _fallback(candidate: Side, champion: Side, bound: float) -> GateCheck:
    before, now = (_share_without_child(side.answers["status"].to_numpy(object)) for side in (champion, candidate))
    words = f"{now:.1%} of the rows are answered by a parent or nobody, {before:.1%} before"
    rows = len(candidate.answers)
    return GateCheck("groups", "fallback_rate_up", now - before <= bound, words, now - before, bound, rows)


def _share_without_child(statuses: AnyArray) -> float:
    # What the pooled model answers because it is better for the group is no fallback.
    return float((~np.isin(statuses.astype(str), ("child", POOLED))).mean()) if len(statuses) else 0.0
