"""The page of a gate: complete, without anything from outside, and nothing of a table is taken for HTML."""

from typing import Any

from metamodel.report.gate_page import render_gate


def report(passed: bool = False, **check: Any) -> dict[str, Any]:
    row = {
        **{"rule": "regression", "check": "mae, by country", "passed": passed, "words": "<b>FR</b> +12 %"},
        **{"value": 0.12, "bound": 0.03, "rows": 1200, "details": [{"name": "<i>", "rows": 3, "lower": None}]},
        **check,
    }
    candidate = {"uri": "models:/sales/8", "name": "sales", "version": "8", "digest": "d"}
    facts = {"created": "2026-11-28T20:00:00+00:00", "data": "fresh.parquet", "rows": 1200, "target": "units"}
    return {
        **{"passed": passed, "candidate": candidate, "against": None, "champion": "none was given"},
        **{**facts, "group_columns": ["country"], "checks": [row]},
    }


def test_the_page_says_what_failed_and_escapes_what_comes_from_tables() -> None:
    page = render_gate(report(), "abc123")
    assert "<b>Failed</b>" in page
    assert "&lt;b&gt;FR&lt;/b&gt; +12 %" in page
    assert "<td>&lt;i&gt;</td>" in page
    assert "no champion (none was given)" in page
    assert '>12 %</td><td class="n">3 %</td>' in page
    assert "abc123" in page


def test_a_gate_that_is_passed_says_so_and_missing_figures_are_dashes() -> None:
    page = render_gate(report(passed=True, value=None, bound=None, rows=0, details=[]), "d")
    assert "<b>Passed</b>" in page
    assert '<td class="n">–</td><td class="n">–</td>' in page
