"""Pictures of the report: drawn whatever the figures are."""

import re

import numpy as np
import pandas as pd
import pytest
from html_pages import Page

from metamodel.report.charts import histogram, over_time, scatter


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf], [1.0], [1.0, 1.0], [0.0, 1e300], [1.0, np.inf]])
def test_any_figures_can_be_drawn(values):
    values = np.array(values, dtype=float)
    for picture in (histogram(values, "skill", lowest=-1), scatter(values, values[::-1])):
        Page(str(picture))
        assert "nan" not in picture
    Page(str(over_time(pd.Series(np.arange(len(values)), dtype=float), values, values[::-1])))


def test_a_forecast_with_several_rows_a_moment_is_drawn_as_dots():
    values = np.arange(6.0)
    drawn = over_time(pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"] * 3)), values, values)
    assert "predicted-dot" in drawn
    assert "<polyline" not in drawn
    assert "2026-01-01" in drawn


@pytest.mark.parametrize("unit", [1.0, 1e5, 3e7, 1e-7])
def test_the_numbers_beside_a_picture_have_room_there(unit):
    values = np.array([-2.5, 0.0, 5.0]) * unit
    drawn = scatter(values, values)
    room = re.findall(r'<text x="(\d+)" y="[\d.]+" text-anchor="end">([^<]+)</text>', drawn)
    assert room
    # A digit is at most 7 units wide.
    assert all(7 * len(text) <= int(x) for x, text in room)
