"""The HTML page of a comparison of two variants: one sentence, the split, and every slice with its interval."""

from typing import Any

from markupsafe import Markup

from metamodel.common.version import __version__
from metamodel.report.templates import page_template

__all__ = ["render_variants"]

# Slices of one kind that are shown: the clearest ones.
_MOST_SHOWN = 100


def render_variants(comparison: dict[str, Any]) -> str:
    """Make the page.

    Parameters
    ----------
    comparison
        See `metamodel.lifecycle.rollouts.compare_variants.VariantComparison.to_dict`.

    Returns
    -------
    str
        A complete document that needs nothing from outside.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in comparison["slices"]:
        kinds.setdefault(row["kind"], []).append(row)
    sections = [
        {"kind": kind, "number": len(rows), "rows": sorted(rows, key=_clearest)[:_MOST_SHOWN], "scale": _scale(rows)}
        for kind, rows in kinds.items()
    ]
    template = page_template("variants.html")
    return template.render(comparison=comparison, sections=sections, version=__version__, interval=_interval)


def _clearest(row: dict[str, Any]) -> float:
    return 2.0 if row["p_value"] is None else float(row["p_value"])


def _scale(rows: list[dict[str, Any]]) -> float:
    """Choose the lift at the end of a section's tracks."""
    lifts = [abs(row["lift"]) for row in rows if row["lift"] is not None]
    return min(1.0, max([0.01, *(2 * lift for lift in lifts)]))


def _interval(row: dict[str, Any], scale: float) -> Markup:
    """Draw a lift's interval on a track whose middle is no difference."""
    ends = [row["lower"], row["upper"]]
    lower, upper = (
        50 + 50 * max(-1.0, min(1.0, (default if end is None else end) / scale))
        for end, default in zip(ends, (-scale, scale), strict=True)
    )
    kind = {"better": "good", "worse": "bad"}.get(row["verdict"], "")
    return Markup('<span class="track lift"><i class="{}" style="left:{}%;width:{}%"></i><u></u></span>').format(
        kind, round(lower, 1), round(max(upper - lower, 1.0), 1)
    )
