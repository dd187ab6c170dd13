"""The HTML report: complete for every kind of model, safe whatever the keys hold, and of bounded size."""

import re

import numpy as np
import pandas as pd
import pytest
from html_pages import Page
from reports import KINDS

from metamodel.bundle.reader import Bundle
from metamodel.report import write_report
from metamodel.report.page import render
from metamodel.report.page_content import Facts


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


def test_the_page_is_written_to_a_file(models, pages, tmp_path):
    path = write_report(Bundle(models["classes"].bundle_path), tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == pages["classes"]
