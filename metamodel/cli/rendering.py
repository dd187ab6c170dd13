"""Results as text for people, or as JSON for programs."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["dumps", "packed_text", "section", "summary_text", "table_text"]

_STATISTICS = ("mean", "median", "p10", "p90", "worst")


def summary_text(summary: dict[str, Any]) -> str:
    """Put counts into words, and each metric on one line."""
    statuses = ", ".join(f"{summary[f'groups_{name}']:,} {name}" for name in ("fitted", "skipped", "failed"))
    lines = [
        f"groups            {summary['groups']:,}: {statuses}",
        f"rows              {summary['rows']:,}, {summary['rows_dropped']:,} more dropped for a null key; "
        f"{summary['duplicate_rows']:,} exact copies",
        f"sizes             {summary['group_rows_min']:,} to {summary['group_rows_max']:,} rows a group, median "
        f"{summary['group_rows_median']:,.0f}, Gini {summary['group_rows_gini']:.2f}",
        f"fallback          {summary['fallback_groups']:,} groups, {summary['fallback_row_share']:.2%} of the rows; "
        f"nobody answers {summary['unanswered_groups']:,} groups, {summary['unanswered_row_share']:.2%} of the rows",
        f"baseline          {summary['groups_above_baseline']:,} of {summary['groups_with_baseline']:,} groups beat it"
        + (f", median skill {summary['skill_median']:.3f}" if "skill_median" in summary else ""),
        *_compared(summary),
        *_shrinkage_lines(summary),
        f"model             {summary['model_bytes']:,} bytes, fitted in {summary['seconds_fitting']:,.1f} s of work, "
        f"{summary['parents_fitted']:,} parents included",
    ]
    if "groups_with_own_interval" in summary:
        lines.append(f"intervals         {_intervals(summary)}")
    metrics: dict[str, dict[str, float]] = {}
    for name, value in summary.items():
        metric, _, statistic = name.rpartition("_")
        if statistic in _STATISTICS and not metric.startswith(("blended_", "unblended_")):
            metrics.setdefault(metric, {})[statistic] = value
    metrics = {name: found for name, found in metrics.items() if "mean" in found}  # medians of counts stand above
    table = pd.DataFrame.from_dict(metrics, orient="index", columns=list(_STATISTICS))
    return "\n".join(lines) + (f"\n\nOver the groups:\n{table.to_string(float_format=_number)}" if metrics else "")


def _compared(summary: dict[str, Any]) -> list[str]:
    """Say how children stand against their parents and how many started warm, where that was asked for."""
    lines = []
    if summary["groups_compared"]:
        better, worse = summary["groups_better_than_parent"], summary["groups_worse_than_parent"]
        lines.append(
            f"local or global   {better:,} of {summary['groups_compared']:,} groups clearly better than their parent, "
            f"{worse:,} clearly worse"
        )
    if "groups_warm" in summary:
        lines.append(f"warm starts       {summary['groups_warm']:,} groups went on from an earlier child")
    return lines


def _shrinkage_lines(summary: dict[str, Any]) -> list[str]:
    """Say whether blending pays; nothing where there is none, or no held-out rows to tell."""
    if "blended_rmse_mean" not in summary:
        return []
    before, after = (_number(summary[f"{which}_rmse_mean"]) for which in ("unblended", "blended"))
    better = f"{summary['groups_better_blended']:,.0f} groups better"
    return [f"shrinkage         {better} than alone; mean held-out rmse {after}, without {before}"]


def _intervals(summary: dict[str, Any]) -> str:
    kinds = ("groups_with_own_interval", "groups_borrowing_interval", "groups_without_interval")
    own, borrowing, without = (f"{summary[name]:,}" for name in kinds)
    reached = f"; {summary['interval_coverage']:.1%} of held-out rows inside" if "interval_coverage" in summary else ""
    if "interval_coverage_fallback" in summary:
        reached += f", {summary['interval_coverage_fallback']:.1%} of those that parents answer"
    return f"{own} groups by their own rows, {borrowing} by borrowed ones, {without} without{reached}"


def _number(value: float) -> str:
    return f"{value:,.4g}"


def section(name: str, value: Any) -> str:
    """Show a table, the entries of a dict, or one value under its name."""
    if isinstance(value, pd.DataFrame):
        return f"{name}\n{table_text(value)}"
    if isinstance(value, dict):
        return "\n".join([name, *(f"  {key:<26} {entry}" for key, entry in value.items())])
    return f"{name}: {value}"


def table_text(frame: pd.DataFrame) -> str:
    """Show a table without its index."""
    return frame.to_string(index=False, max_colwidth=60, float_format=_number)


def dumps(value: Any) -> str:
    """Write strict JSON."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def _plain(item: Any) -> Any:
    """Make JSON of it: numbers stay numbers, whatever is missing or infinite becomes null."""
    if isinstance(item, pd.DataFrame):
        return [_plain(row) for row in item.astype(object).to_dict(orient="records")]
    if isinstance(item, dict):
        return {str(name): _plain(entry) for name, entry in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(entry) for entry in item]
    item = item.item() if isinstance(item, np.generic) else item
    if item is None or pd.isna(item) or item in (math.inf, -math.inf):
        return None
    return item if isinstance(item, str | int | float) else str(item)


def packed_text(packed: dict[str, Any], name: str, alias: str) -> str:
    """Say what `metamodel.repacking.repack` made."""
    lines = [f"stacked           {packed['groups_stacked']:,} of {packed['groups_fitted']:,} groups"]
    lines += [f"  {groups:>12,}  {reason}" for reason, groups in packed["not_stacked"].items()]
    if packed["output"]:
        lines.append(f"written to        {packed['output']}")
    if packed["version"]:
        lines.append(f"registered        {name}, version {packed['version']}" + (f", alias {alias}" if alias else ""))
    return "\n".join(lines)
