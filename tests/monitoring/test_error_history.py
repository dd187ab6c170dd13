"""Errors over the windows, and the distributions that the page draws."""

from pathlib import Path

import pandas as pd
import pytest
from monitored import SECOND, START, changed, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference


def test_errors_and_labels_are_told_of_every_window_also_late_ones(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    first = weeks(1, 50, start=START)
    before = metamodel.monitor(model, first.drop(columns="sales"), baseline=reference, output=tmp_path)
    labels = first[["row_id", "sales"]].assign(sales=first["sales"] + 9.0)
    after = metamodel.monitor(model, weeks(1, 51, start=SECOND), labels, baseline=reference, output=tmp_path)

    assert [(one["labelled"], one["large"]) for one in before.history] == [(0, None)]
    assert [one["window"] for one in after.history] == [START, SECOND]
    assert after.history[0]["labelled"] == 360
    assert after.history[0]["large"] == 1.0  # every error is larger than all held-out ones
    assert after.history[0]["expected"] == pytest.approx(0.1, abs=0.01)


def test_a_changed_group_is_drawn_with_its_bins_then_and_now(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = changed(START, 52)
    table.loc[table["shop"] == 4, "kind"] = "zz"

    result = metamodel.monitor(model, table, baseline=reference)

    drawn = {(cell["key"], cell["column"]): cell for cell in result.drawn}
    errors = drawn['["DE",3]', "(absolute error)"]
    assert errors["bins"][9]["window"] > 0.8
    assert errors["bins"][9]["reference"] == pytest.approx(0.1, abs=0.01)
    assert sum(one["reference"] for one in errors["bins"]) == pytest.approx(1)
    kinds = {one["label"]: one["window"] for one in drawn['["FR",4]', "kind"]["bins"]}
    assert kinds == {"a": 0.0, "b": 0.0, "c": 0.0, "never seen in training": 1.0}


def test_wrong_labels_are_large_errors(tmp_path: Path) -> None:
    def labelled(seed: int, start: str) -> pd.DataFrame:
        table = weeks(8, seed, shops=6, start=start)
        return table.assign(sales=(table["price"] > 10).map({True: "much", False: "little"}))

    trained = metamodel.train(
        labelled(60, "2026-01-05"), "shop", "sales", "logistic_regression", features=["price", "stock"], n_jobs=1
    )
    wrong = labelled(62, "2026-03-09")
    wrong["sales"] = wrong["sales"].map({"much": "little", "little": "much"})

    result = metamodel.monitor(
        metamodel.MetaModel(trained.bundle_path), wrong, baseline=labelled(61, "2026-01-05"), output=tmp_path
    )

    assert result.history[0]["large"] > 0.9
    assert result.history[0]["expected"] < 0.1
    assert "of classes: with a wrong label" in (tmp_path / "monitor.html").read_text(encoding="utf-8")
