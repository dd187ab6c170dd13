"""The two figures that every run shows."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from metamodel.report import plot_actual_predicted, plot_metric


def _drawn(figure: Figure) -> np.ndarray:
    """Draw for real; a glyph that is missing or a layout that does not fit is a warning, and so an error here."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba")
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _texts(figure: Figure) -> str:
    (axes,) = figure.axes
    parts = [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
    legend = axes.get_legend()
    return "\n".join(parts + ([text.get_text() for text in legend.get_texts()] if legend else []))


def _holdout(groups: int, rows: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(0)
    actual = random.normal(100, 20, groups * rows)
    keys = np.repeat([f'["shop {i}",{i}]' for i in range(groups)], rows)
    return pd.DataFrame({"key": keys, "actual": actual, "predicted": actual + random.normal(0, 5, len(actual))})


def test_the_distribution_of_a_metric_shows_its_median_and_counts_the_groups() -> None:
    ledger = pd.DataFrame({"holdout_rmse": [*np.linspace(1, 3, 99), np.nan, 2.0]})
    figure = plot_metric(ledger, "holdout_rmse")
    _drawn(figure)
    assert "holdout_rmse of 100 groups" in _texts(figure)
    assert "median 2" in _texts(figure)


def test_hopeless_groups_are_counted_in_the_last_bar_and_squeeze_no_other() -> None:
    figure = plot_metric(pd.DataFrame({"holdout_rmse": [*np.linspace(1, 3, 199), 1e9]}), "holdout_rmse")
    assert "above" in _texts(figure)
    assert figure.axes[0].get_xlim()[1] < 10


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0, 2.0], [0.0, 0.0]])
def test_groups_that_are_all_alike_can_be_drawn(values: list[float]) -> None:
    _drawn(plot_metric(pd.DataFrame({"holdout_rmse": values}), "holdout_rmse"))


@pytest.mark.parametrize("values", [[1.0, 2.0, np.inf], [np.inf]])
def test_an_infinite_metric_can_be_drawn(values: list[float]) -> None:
    _drawn(plot_metric(pd.DataFrame({"holdout_rmse": values}), "holdout_rmse"))


def test_without_a_holdout_the_figure_says_so() -> None:
    figure = plot_metric(pd.DataFrame({"holdout_rmse": [np.nan, np.nan]}), "holdout_rmse")
    _drawn(figure)
    assert "No group has a finite holdout_rmse" in _texts(figure)


def test_few_groups_have_a_colour_and_a_name_each() -> None:
    figure = plot_actual_predicted(_holdout(3), "sales", "regression")
    _drawn(figure)
    scatters = [drawn for drawn in figure.axes[0].collections if isinstance(drawn, PathCollection)]
    assert len({tuple(drawn.get_facecolor()[0]) for drawn in scatters}) == 3
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "shop 0, 0",
        "shop 1, 1",
        "shop 2, 2",
    ]
    assert "120 holdout rows of 3 groups" in _texts(figure)
    assert "actual sales\npredicted sales" in _texts(figure)


def test_many_groups_share_one_colour() -> None:
    figure = plot_actual_predicted(_holdout(50), "sales", "regression")
    _drawn(figure)
    assert figure.axes[0].get_legend() is None


def test_points_far_off_are_counted_and_squeeze_no_other() -> None:
    holdout = _holdout(3)
    holdout.loc[0, "predicted"] = 1e12
    figure = plot_actual_predicted(holdout, "sales", "regression")
    assert "1 point outside" in _texts(figure)
    assert figure.axes[0].get_ylim()[1] < 1000


def test_classes_are_drawn_as_a_confusion_matrix_with_its_numbers() -> None:
    labels = ["cheap", "dear", "fair"]
    holdout = pd.DataFrame({"key": '["a"]', "actual": labels * 4, "predicted": [*labels * 3, "cheap", "cheap", "top"]})
    figure = plot_actual_predicted(holdout, "price", "classification")
    _drawn(figure)
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["cheap", "dear", "fair", "top"]
    assert sorted(text.get_text() for text in figure.axes[0].texts).count("3") == 2


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_without_holdout_rows_the_figure_says_so(task: str) -> None:
    empty = pd.DataFrame({"key": [], "actual": [], "predicted": []})
    figure = plot_actual_predicted(empty, "sales", task)
    _drawn(figure)
    assert "There are no holdout rows" in _texts(figure)


@pytest.mark.parametrize(
    "value", ["$x$ costs $5", r"$\nonsense{$", "_hidden", "", " ", "a\nb", "Zürich", "x" * 10_000, "100%"]
)
def test_a_group_with_any_name_can_be_drawn(value: str) -> None:
    holdout = _holdout(2).assign(key=np.repeat([json.dumps([value]), '["b"]'], 40))
    figure = plot_actual_predicted(holdout, "sales", "regression")
    _drawn(figure)
    assert len(figure.axes[0].get_legend().get_texts()) == 2
