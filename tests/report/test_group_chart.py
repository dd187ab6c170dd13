"""One group's held-out rows as a picture."""

import re

import pandas as pd
from html_pages import Page

from metamodel.report.group_chart import picture


def test_a_model_with_a_time_column_shows_the_forecast_over_time(pages):
    assert "━ actual" in Page(pages["forecast"]).text
    assert '<polyline class="predicted"' in pages["forecast"]


def test_labels_are_shown_as_a_table_of_right_and_wrong(pages):
    assert "actual ↓ predicted →" in Page(pages["classes"]).text


def test_right_labels_stand_on_the_diagonal_with_their_numbers():
    held = pd.DataFrame({"actual": ["a", "a", "b", "b", "b"], "predicted": ["a", "b", "b", "b", "b"]})
    drawn = picture(held, "classification")
    cells = re.findall(r'<td class="(hit|miss)" style="--heat:([\d.]+)">(\d*)</td>', drawn)
    assert cells == [("hit", "0.33", "1"), ("miss", "0.33", "1"), ("miss", "0.00", ""), ("hit", "1.00", "3")]


def test_rare_labels_are_counted_together():
    labels = [f"label {i}" for i in range(10) for _ in range(10 - i)]
    text = Page(picture(pd.DataFrame({"actual": labels, "predicted": labels}), "classification")).text
    assert "label 5" in text
    assert "label 6" not in text
    assert text.split().count("other") == 2  # a row and a column
    assert "10" in text.split()  # 4 + 3 + 2 + 1 rows of rare labels, and the commonest one


def test_labels_are_escaped():
    held = pd.DataFrame({"actual": ["<b>", "<b>"], "predicted": ["<b>", "x"]})
    assert "<b>" not in picture(held, "classification")


def test_numbers_are_drawn_against_each_other_or_over_time():
    held = pd.DataFrame({"actual": [1.0, 2.0, 3.0], "predicted": [1.5, 2.0, 2.5]})
    assert "<polyline" not in picture(held, "regression")
    assert "<polyline" in picture(held.assign(time=pd.date_range("2026-01-01", periods=3)), "regression")
