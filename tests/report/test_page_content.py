"""What the report says, worked out from a bundle's own files."""

import numpy as np
import pandas as pd
import pytest
from html_pages import Page
from reports import small

import metamodel
from metamodel.bundle.reader import Bundle
from metamodel.report import render_report
from metamodel.report.page import render
from metamodel.report.page_content import Facts


def test_the_page_opens_on_the_figures_of_the_training(models, pages):
    summary, text = models["forecast"].summary, Page(pages["forecast"]).text
    assert f"Groups with a model {summary['groups_fitted']} of {summary['groups']}" in text
    assert f"Median RMSE on held-out rows {summary['holdout_rmse_median']:.4g}" in text
    share = summary["groups_better_than_parent"] / summary["groups_compared"]
    assert f"Clearly better than their parent {100 * share:.1f}".removesuffix(".0") in text


def test_without_a_holdout_the_page_says_that_its_figures_flatter(pages):
    text = Page(pages["no holdout"]).text
    assert "No group was judged on rows that it had not seen." in text
    assert "RMSE on training rows" in text
    assert "Local or global?" not in text


def test_the_reasons_of_failures_are_counted(pages):
    text = Page(pages["one survivor"]).text
    assert "failed ValueError: this group is marked 4" in text
    assert "Groups with a model 1 of 5 (20 %)" in text


def test_infinite_errors_are_said(pages):
    assert "∞" in Page(pages["infinite"]).text


def test_features_are_ranked(pages):
    text = Page(pages["odd names"]).text
    assert text.index(" a ", text.index("What counts")) < text.index(" b ", text.index("What counts"))


def test_skill_against_a_baseline_is_shown_where_the_ledger_has_it(models):
    result = models["odd names"]
    ledger = result.ledger.assign(baseline="mean", skill=[0.5, 0.4, -0.1, 0.2, 0.3, np.nan])
    text = Page(render(Facts(result.manifest, ledger, result.holdout, result.importance), "0")).text
    assert "Better than the baseline 80 %" in text
    assert "4 of 5 judged groups beat it" in text


def test_what_the_data_checks_found_is_kept_and_shown(models):
    frame = small().assign(fixed=1.0)
    result = metamodel.train(frame, "g", "y", n_jobs=1)
    assert "constant" in {one.check for one in result.findings}
    opened = Page(render_report(Bundle(result.bundle_path))).text
    assert f"The data checks found {len(result.findings)} things to look at" in opened
    assert all(one.message in opened for one in result.findings)
    assert "data checks nothing found" in Page(render_report(Bundle(models["forecast"].bundle_path))).text


def facts_of(result, **changed):
    given = {"ledger": result.ledger, "holdout": result.holdout, "importance": result.importance, **changed}
    return Facts(result.manifest, **given)


def test_the_best_and_the_worst_groups_are_other_groups(models):
    facts = facts_of(models["forecast"])
    worst, best = [card.name for card in facts.worst()], [card.name for card in facts.best()]
    assert worst
    assert best
    assert not set(worst) & set(best)
    metrics = [card.metric for card in facts.worst()]
    assert metrics == sorted(metrics, reverse=True)
    assert all(card.picture and card.held_out for card in facts.worst())


def test_importances_are_means_over_all_groups_those_that_leave_a_feature_out_too(models):
    importance = pd.DataFrame({"key": ["[1]", "[2]", "[1]"], "level": 1, "feature": ["a", "a", "b"]})
    facts = facts_of(models["odd names"], importance=importance.assign(share=[0.4, 0.8, 0.6]))
    assert [(row["feature"], round(row["mean"], 9), row["groups"]) for row in facts.importances] == [
        ("a", 0.6, 2),
        ("b", 0.3, 2),
    ]


def test_time_is_summed_by_level_the_groups_first(models):
    result = models["forecast"]
    levels = facts_of(result).seconds_by_level()
    assert [name for name, *_ in levels] == ["country, store, product", "country, store", "country", "global"]
    assert sum(groups for _, groups, *_ in levels) == len(result.ledger)
    assert sum(seconds for *_, seconds, _ in levels) == pytest.approx(result.ledger["seconds"].sum())
