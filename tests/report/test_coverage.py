"""What the report says of prediction intervals."""

import numpy as np
from html_pages import Page

from metamodel.report.coverage import coverage_of
from metamodel.report.page_content import Facts


def facts_of(result):
    return Facts(result.manifest, result.ledger, result.holdout, result.importance)


def test_the_coverage_is_that_of_the_ledger_in_percent(models):
    result = models["forecast"]
    coverage = coverage_of(facts_of(result))
    children = result.ledger[(result.ledger["level"] == 3) & (result.ledger["status"] == "fitted")]
    assert coverage.level == 0.9
    assert coverage.rows == children["coverage_rows"].sum() > 0
    np.testing.assert_allclose(coverage.reached, 100 * children["coverage"].to_numpy(float))
    kinds = ("groups_with_own_interval", "groups_borrowing_interval", "groups_without_interval")
    assert sum(coverage.counts[kind] for kind in kinds) == len(children)
    assert "held-out rows inside the interval, %" in Page(str(coverage.picture())).text


def test_without_intervals_there_is_no_coverage(models, pages):
    assert coverage_of(facts_of(models["odd names"])) is None
    assert "interval" in Page(pages["forecast"]).text
