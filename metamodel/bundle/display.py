"""How a training's result and a model show themselves to people: in a terminal, in a notebook, as a command prints it.

Knows counts and names only, and opens nothing.
"""

import html
import json
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.carry.told import update_lines
from metamodel.bundle.manifest import Manifest
from metamodel.common.messages import count, listing
from metamodel.evaluation.metrics import PRIMARY
from metamodel.tables.keys import GroupKey

__all__ = ["description", "model_line", "name_of", "number_text", "preformatted", "result_line", "summary_text"]

_STATISTICS = ("mean", "median", "p10", "p90", "worst")

_TEXT = 120


def result_line(summary: dict[str, Any], manifest: Manifest, path: Path) -> str:
    """Show a training's result on one line."""
    groups = f"{count(summary['groups'], 'group')} by {listing(manifest.keys.names)}"
    return f"<TrainingResult: {groups}: {_statuses(summary)}; {path}>"


def model_line(manifest: Manifest, path: Path) -> str:
    """Show a meta-model on one line."""
    kinds = "children and parents" if manifest.levels else "children"
    return (
        f"<MetaModel: {manifest.children:,} {kinds} by {listing(manifest.keys.names)} predict "
        f"{manifest.target.name}; unknown groups: {manifest.unknown}; {path}>"
    )


def description(summary: dict[str, Any], manifest: Manifest) -> str:
    """Describe a training in a sentence, for a registered version and its run."""
    estimators = sorted({str(candidate["estimator"]) for candidate in manifest.options["candidates"].values()})
    metric = f"holdout_{PRIMARY[manifest.target.task]}"
    median = summary.get(f"{metric}_median")
    judged = "" if median is None else f", median {metric} {number_text(median)}"
    return (
        f"{summary['groups_fitted']:,} of {count(summary['groups'], 'group')} by {', '.join(manifest.keys.names)}: "
        f"{' or '.join(estimators)} for {manifest.target.name}{judged}."
    )


def preformatted(text: str) -> str:
    """Make HTML of lines that are aligned by blanks."""
    return f"<pre>{html.escape(text)}</pre>"


def summary_text(summary: dict[str, Any]) -> str:
    """Put counts into words, and each metric on one line."""
    lines = [
        f"groups            {summary['groups']:,}: {_statuses(summary)}",
        f"rows              {summary['rows']:,}, {summary['rows_dropped']:,} more dropped for a null key; "
        f"{_copies(summary)}",
        f"sizes             {summary['group_rows_min']:,} to {summary['group_rows_max']:,} rows a group, median "
        f"{summary['group_rows_median']:,.0f}, Gini {summary['group_rows_gini']:.2f}",
        f"fallback          {summary['fallback_groups']:,} groups, {summary['fallback_row_share']:.2%} of the rows; "
        f"nobody answers {summary['unanswered_groups']:,} groups, {summary['unanswered_row_share']:.2%} of the rows",
        f"baseline          {summary['groups_above_baseline']:,} of {summary['groups_with_baseline']:,} groups beat it"
        + (f", median skill {summary['skill_median']:.3f}" if "skill_median" in summary else ""),
        *_updated(summary),
        *_warned(summary),
        *_compared(summary),
        *_shrinkage_lines(summary),
        f"model             {summary['model_bytes']:,} bytes, fitted in {summary['seconds_fitting']:,.1f} s of work, "
        f"{summary['parents_fitted']:,} parents included",
    ]
    if "reference_bytes" in summary:
        lines.append(
            f"reference         {summary['reference_bytes']:,.0f} bytes for `metamodel monitor`, recorded in "
            f"{summary['reference_seconds']:,.1f} s"
        )
    if "groups_with_own_interval" in summary:
        lines.append(f"intervals         {_intervals(summary)}")
    metrics: dict[str, dict[str, float]] = {}
    for name, value in summary.items():
        metric, _, statistic = name.rpartition("_")
        if statistic in _STATISTICS and not metric.startswith(("blended_", "unblended_")):
            metrics.setdefault(metric, {})[statistic] = value
    metrics = {name: figures for name, figures in metrics.items() if "mean" in figures}  # medians of counts stand above
    table = pd.DataFrame.from_dict(metrics, orient="index", columns=list(_STATISTICS))
    return "\n".join(lines) + (f"\n\nOver the groups:\n{table.to_string(float_format=number_text)}" if metrics else "")


def _copies(summary: dict[str, Any]) -> str:
    number, dropped = summary["duplicate_rows"], summary["duplicate_rows_dropped"]
    if not number:
        return "no exact copies"
    kept = f"{number:,} equal to another one, kept"
    return f"{dropped:,} of {summary['rows']:,} left out as exact copies" if dropped else kept


def _updated(summary: dict[str, Any]) -> list[str]:
    """Say how many groups an update retrained and why, how many kept their child, and what that gains."""
    words = update_lines(summary, summary["groups_carried"], summary["groups_retired"])
    return [f"{title:<18}{text}" for title, text in words]


def _warned(summary: dict[str, Any]) -> list[str]:
    """Say how many groups were fitted with a warning, and of which kinds."""
    if not summary.get("groups_warned"):
        return []
    before = "groups_warned_"
    kinds = [f"{number:,} {name.removeprefix(before)}" for name, number in summary.items() if name.startswith(before)]
    return [f"warnings          {summary['groups_warned']:,} of {summary['groups']:,} groups: {', '.join(kinds)}"]


def _compared(summary: dict[str, Any]) -> list[str]:
    """Say how children stand against their parents and how many started warm, where that was asked for."""
    lines = []
    if summary["groups_compared"]:
        better, worse = summary["groups_better_than_parent"], summary["groups_worse_than_parent"]
        lines.append(
            f"local or global   {better:,} of {summary['groups_compared']:,} groups clearly better than their parent, "
            f"{worse:,} clearly worse"
        )
    if "error_saved_of_pooled" in summary:
        saved = summary["error_saved_of_pooled"]
        lines.append(
            f"pooled            children have {abs(saved):.1%} {'less' if saved >= 0 else 'more'} error than one model "
            "that knows the group columns"
        )
    if summary.get("groups_pooled"):
        lines.append(
            f"                  it answers {summary['groups_pooled']:,} groups, for which it is better than their own: "
            f"{summary['pooled_row_share']:.2%} of the rows"
        )
    if "groups_warm" in summary:
        lines.append(f"warm starts       {summary['groups_warm']:,} groups went on from an earlier child")
    return lines


def _shrinkage_lines(summary: dict[str, Any]) -> list[str]:
    """Say whether blending pays; nothing where there is none, or no held-out rows to tell."""
    if "blended_rmse_mean" not in summary:
        return []
    before, after = (number_text(summary[f"{which}_rmse_mean"]) for which in ("unblended", "blended"))
    better = f"{summary['groups_better_blended']:,.0f} groups better"
    return [f"shrinkage         {better} than alone; mean held-out rmse {after}, without {before}"]


def _intervals(summary: dict[str, Any]) -> str:
    kinds = ("groups_with_own_interval", "groups_borrowing_interval", "groups_without_interval")
    own, borrowing, without = (f"{summary[name]:,}" for name in kinds)
    reached = f"; {summary['interval_coverage']:.1%} of held-out rows inside" if "interval_coverage" in summary else ""
    if "interval_coverage_fallback" in summary:
        reached += f", {summary['interval_coverage_fallback']:.1%} of those that parents answer"
    return f"{own} groups by their own rows, {borrowing} by borrowed ones, {without} without{reached}"


def number_text(value: float) -> str:
    """Write a number with four significant digits, and whole numbers to a million.

    Examples
    --------
    >>> number_text(0.123456), number_text(68834.2), number_text(1e7)
    ('0.1235', '68,834', '1e+07')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def _statuses(summary: dict[str, Any]) -> str:
    sometimes = [name for name in ("carried", "pooled") if summary.get(f"groups_{name}")]
    names = ["fitted", *sometimes, "skipped", "failed"]
    return ", ".join(f"{summary[f'groups_{name}']:,} {name}" for name in names)


def name_of(key: GroupKey) -> str:
    r"""Show a key to people.

    Examples
    --------
    >>> name_of(("FR", 7)), name_of((None, "")), name_of(())
    ('FR · 7', 'null · ""', 'all groups')
    >>> name_of(("\u202eevil",))
    '"\\u202eevil"'
    """
    texts = ["null" if value is None else str(value) for value in key]
    # What cannot be seen is shown as JSON writes it.
    parts = [text if text.isprintable() and text.strip() else _escaped(text) for text in texts]
    text = " · ".join(parts) or "all groups"
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"


def _escaped(text: str) -> str:
    """Write a text as JSON does, and what cannot be seen, such as a change of direction, as its number."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in written)
