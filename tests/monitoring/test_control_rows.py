"""Control rows: in nobody's errors, compared with treated ones, and what is said where labels are the model's doing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitored import SECOND, START, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.monitoring.control_rows import ARMS, compare_arms, feedback_words


def answered(model: metamodel.MetaModel, table: pd.DataFrame, share: float = 0.1, worse: float = 3.0) -> pd.DataFrame:
    """Rows with answers of which a share is the control group's, and lies `worse` further away."""
    control = np.random.default_rng(0).random(len(table)) < share
    answers = model.predict(table)[["prediction", "lower", "upper"]]
    answers["prediction"] += np.where(control, worse, 0.0)
    return table.assign(**answers, variant=np.where(control, "control", "treated"))


def test_control_rows_are_in_no_groups_errors_and_their_features_are_counted(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = answered(model, weeks(1, 3), share=0.4, worse=50.0)
    result = metamodel.monitor(model, table, baseline=reference)
    assert set(result.groups["status"]) == {"ok"}
    assert result.facts["labelled"] == (table["variant"] == "treated").sum()
    rows = result.columns.set_index("column")["rows"]
    assert rows["price"] == len(table)
    assert rows["(prediction)"] == rows["(absolute error)"] == result.facts["labelled"]
    without = metamodel.monitor(model, table.drop(columns="variant"), baseline=reference)
    assert "performance" in set(without.groups["status"])


def test_errors_of_both_arms_are_compared_over_the_windows_late_labels_too(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    first, second = answered(model, weeks(1, 3)), answered(model, weeks(1, 5, start=SECOND))
    early = metamodel.monitor(model, first.drop(columns="sales"), baseline=reference, output=tmp_path)
    assert early.facts["control"]["labelled_control"] == 0
    result = metamodel.monitor(
        model, second.drop(columns="sales"), pd.concat([first, second])[["row_id", "sales"]], baseline=reference,
        output=tmp_path,
    )  # fmt: skip
    together = pd.concat([first, second])
    errors = (together["sales"] - together["prediction"]).abs().groupby(together["variant"])
    figures = result.facts["control"]
    assert [figures[f"labelled_{arm}"] for arm in ARMS] == [errors.size()[arm] for arm in ARMS]
    assert figures["error_control"] == pytest.approx(errors.mean()["control"])
    assert figures["error_treated"] == pytest.approx(errors.mean()["treated"], rel=0.05)
    assert figures["lower"] < errors.mean()["control"] - errors.mean()["treated"] < figures["upper"]
    assert figures["lower"] > 1.5
    assert any("labelled control rows err by" in note for note in result.notes)
    assert result.facts["windows_relabelled"] == [START]


@pytest.mark.parametrize("groups", [1, 4, 60])
def test_the_interval_of_the_difference_holds_what_it_should(groups: int) -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        sums = {}
        level = rng.lognormal(size=groups)
        for arm, n_rows in zip(ARMS, (200, max(2, 120 // groups)), strict=True):
            errors = level[:, None] * np.abs(rng.normal(size=(groups, n_rows)))
            figures = np.full(groups, n_rows), np.full(groups, n_rows), errors.sum(axis=1), (errors**2).sum(axis=1)
            sums |= {
                f"{name}_{arm}": values
                for name, values in zip(("rows", "labelled", "error", "squared"), figures, strict=True)
            }
        compared = compare_arms(pd.DataFrame(sums))
        held += compared["lower"] <= 0 <= compared["upper"]
    assert 0.92 <= held / 400 <= 0.995


def figures(**given: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("error_treated", "error_control", "difference", "lower", "upper"))
    return (
        {"rows_treated": 1000, "rows_control": 100, "labelled_treated": 500, "labelled_control": 50} | nothing | given
    )


def test_labels_that_the_model_decided_itself_are_told_of() -> None:
    assert feedback_words(None, 0, 0) == feedback_words(None, 10, 100) == []
    assert "90 of 100 labels are of rows that the model decided" in feedback_words(None, 90, 100)[0]
    few = feedback_words(figures(labelled_control=5, rows_control=10), 0, 0)
    assert few == ["500 labels of rows that the model decided, and 5 of control rows: too few to tell what it causes "
                   "from what it predicts (--explore)"]  # fmt: skip
    selective = feedback_words(figures(labelled_control=10), 0, 0)
    assert selective[-1].startswith("50% of the treated rows have a label, and 10% of the control rows: which outcomes")


def test_answers_without_a_control_group_are_told_of_and_what_the_monitor_predicts_itself_is_not(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = weeks(1, 3)
    as_answered = metamodel.monitor(model, answered(model, table).drop(columns="variant"), baseline=reference)
    assert any(note.startswith("360 of 360 labels are of rows that the model decided") for note in as_answered.notes)
    assert not any("decided" in note for note in metamodel.monitor(model, table, baseline=reference).notes)
