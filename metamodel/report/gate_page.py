"""The HTML page of a gate: which rule holds, by how much, and what the worst slices are."""

from itertools import groupby
from typing import Any

from markupsafe import Markup

from metamodel.common.version import __version__
from metamodel.report import formatting as numbers
from metamodel.report.templates import page_template

__all__ = ["render_gate"]

_TITLES = {
    "floor": "Floor",
    "regression": "Regression by slices",
    "groups": "Groups",
    "schema": "Schema",
    "budget": "Budget",
    "minimum_functionality": "Minimum functionality",
    "invariance": "Invariance",
    "directional": "Directional expectations",
}

_MEANINGS = {
    "floor": "The candidate's own figures.",
    "regression": "Relative rise of the error on the same rows. A slice fails only where the lower end of its "
    "one-sided interval is above the limit, adjusted for the number of slices.",
    "groups": "How many groups are worse off than before.",
    "schema": "What callers send and get.",
    "budget": "Time and size; times are medians that were taken in turns.",
    "minimum_functionality": "Answers that the model has to give.",
    "invariance": "Changes that must not move an answer.",
    "directional": "Changes that must move the mean answer of a group one way.",
}


def render_gate(report: dict[str, Any], digest: str) -> str:
    """Make the page.

    Parameters
    ----------
    report
        What `gate.json` holds; see `metamodel.lifecycle.gate.GateReport.to_dict`.
    digest
        The report's digest.

    Returns
    -------
    str
        A complete document that needs nothing from outside.
    """
    sections = [
        {"rule": rule, "title": _TITLES.get(rule, rule), "meaning": _MEANINGS.get(rule, ""), "checks": list(checks)}
        for rule, checks in groupby(report["checks"], key=lambda check: check["rule"])
    ]
    template = page_template("gate.html")
    return template.render(
        report=report, sections=sections, digest=digest, version=__version__, bar=_bar, cell=_cell, value=_value
    )


def _value(check: dict[str, Any], name: str) -> str:
    """Show a figure in the unit that its check suggests."""
    figure = check[name]
    shares = check["rule"] in ("regression", "minimum_functionality", "directional") or check["check"] in (
        *("worse", "failed", "fallback_rate_up", "answered", "interval_coverage"),
    )
    if figure is not None and shares:
        return numbers.percent(figure)
    return numbers.number(figure)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "worse" if value else ""
    if isinstance(value, int | float) or value is None:
        shown = {"regression": numbers.percent, "lower": numbers.percent, "p_value_adjusted": numbers.p_value}
        return shown.get(name, numbers.number)(value)
    return str(value)


def _bar(check: dict[str, Any]) -> Markup:
    """Draw how far a figure is from its limit: the limit is a mark at two thirds of the track."""
    value, bound = check["value"], check["bound"]
    if value is None or not bound or bound < 0:
        return Markup("")
    share = max(0.0, min(1.0, value / bound * 2 / 3))
    kind = "" if check["passed"] else "bad"
    return Markup('<span class="track gauge"><i class="{}" style="width:{}%"></i><u></u></span>').format(
        kind, round(100 * share, 1)
    )
