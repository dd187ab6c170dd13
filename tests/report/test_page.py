"""The HTML report: complete for every kind of model, safe whatever the keys hold, and of bounded size."""

import re

import numpy as np
import pandas as pd
import pytest
from html_pages import Page
from reports import KINDS, small, train

import metamodel
from metamodel.bundle.reader import Bundle
from metamodel.exceptions import InputError
from metamodel.report import permute_worst, render_report, write_report
from metamodel.report.page import render
from metamodel.report.page_content import Facts


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    return {kind: train(kind, directory) for kind in KINDS}


@pytest.fixture(scope="module")
def pages(models):
    return {kind: render_report(Bundle(result.bundle_path)) for kind, result in models.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_has_a_well_formed_page(pages, kind):
    text = Page(pages[kind]).text
    for title in ("How good are the children?", "Groups without a model", "Who would answer", "Where the time went"):
        assert title in text
    assert "nan" not in re.findall(r"\b\w+\b", text)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_comes_from_outside(pages, kind):
    links = [
        value for name, value in Page(pages[kind]).attributes if name in ("src", "href", "action", "data", "srcset")
    ]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert "@import" not in pages[kind]
    assert "url(" not in pages[kind]


@pytest.mark.parametrize("kind", ["odd names", "classes", "one survivor"])
def test_names_and_labels_are_text_and_never_markup(pages, kind):
    page = Page(pages[kind])
    assert page.scripts == 1
    assert "<script>alert(1)</script>" in page.text
    assert "<script>alert" not in pages[kind]
    assert "</style><b>" not in pages[kind]


def test_the_page_opens_on_the_figures_of_the_training(models, pages):
    summary, text = models["forecast"].summary, Page(pages["forecast"]).text
    assert f"Groups with a model {summary['groups_fitted']} of {summary['groups']}" in text
    assert f"Median RMSE on held-out rows {summary['holdout_rmse_median']:.4g}" in text
    share = summary["groups_better_than_parent"] / summary["groups_compared"]
    assert f"Clearly better than their parent {100 * share:.1f}".removesuffix(".0") in text


def test_a_model_with_a_time_column_shows_the_forecast_over_time(pages):
    assert "━ actual" in Page(pages["forecast"]).text
    assert '<polyline class="predicted"' in pages["forecast"]


def test_labels_are_shown_as_a_table_of_right_and_wrong(pages):
    assert "actual ↓ predicted →" in Page(pages["classes"]).text


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


def test_fifty_thousand_groups_are_a_page_below_three_megabytes(models):
    result = models["forecast"]
    children = result.ledger[result.ledger["level"] == 3]
    many = pd.concat([children] * (50_000 // len(children) + 1), ignore_index=True)
    many["store"] = np.arange(len(many))
    many["reason"] = [f"pruned: group {i}" * 20 for i in range(len(many))]
    many.loc[::3, ["status", "error"]] = ["failed", "ValueError: " + "<&>" * 160]
    ledger = pd.concat([many, result.ledger[result.ledger["level"] < 3]], ignore_index=True)
    page = render(Facts(result.manifest, ledger, result.holdout, result.importance), "0")
    assert len(page.encode()) < 3_000_000
    assert f"1,000 of {len(many):,} groups" in Page(page).text


def test_a_bundle_of_an_older_release_has_a_page(models):
    result = models["odd names"]
    old = result.ledger.drop(
        columns=[
            "compared_rows",
            "error_saved",
            "error_saved_global",
            "p_value",
            "p_value_adjusted",
            "better_than_parent",
        ]
    )
    assert "Local or global?" not in render(Facts(result.manifest, old, None, None), "0")


def test_verdicts_of_an_older_release_are_adjusted_for_their_number(models):
    result = models["forecast"]
    old = result.ledger.drop(columns="p_value_adjusted").assign(better_than_parent="yes")
    assert render(Facts(result.manifest, old, None, None), "0") == render(
        Facts(result.manifest, result.ledger, None, None), "0"
    )


def test_what_the_data_checks_found_is_kept_and_shown(models):
    frame = small().assign(fixed=1.0)
    result = metamodel.train(frame, "g", "y", n_jobs=1)
    assert "constant" in {one.check for one in result.findings}
    opened = Page(render_report(Bundle(result.bundle_path))).text
    assert "to look at before the training" in opened
    assert all(one.message in opened for one in result.findings)
    assert "data checks nothing found" in Page(render_report(Bundle(models["forecast"].bundle_path))).text


@pytest.mark.parametrize("kind", ["odd names", "classes"])
def test_what_counts_for_the_worst_groups_is_measured_on_demand(models, kind):
    bundle = Bundle(models[kind].bundle_path)
    found = permute_worst(bundle, small(kind == "classes"), worst=3)
    assert found["key"].nunique() == 3
    assert (found.groupby("key")["feature"].first() == "a").all()
    page = render_report(bundle, found)
    assert "What counts for the worst groups" in Page(page).text
    assert Page(page).scripts == 1


def test_other_groups_rows_measure_nothing(models):
    with pytest.raises(InputError, match="no row of the 2 worst groups"):
        permute_worst(Bundle(models["odd names"].bundle_path), small().assign(g="elsewhere"), worst=2)


def test_the_page_is_written_to_a_file(models, pages, tmp_path):
    path = write_report(Bundle(models["classes"].bundle_path), tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == pages["classes"]
