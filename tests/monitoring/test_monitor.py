"""`metamodel.monitor`: groups that changed, one broken feed, late labels, and the list of whom to retrain."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitored import SECOND, START, THIRD, changed, monitored, statuses, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.exceptions import InputError
from metamodel.monitoring.count_table import count_table
from metamodel.monitoring.window_baselines import reference_for
from metamodel.monitoring.window_names import windows_of
from metamodel.prediction_log.count_files import write_counts


def test_a_week_like_those_before_alarms_nobody(model: metamodel.MetaModel, good: pd.DataFrame) -> None:
    result = metamodel.monitor(model, weeks(1, 3), baseline=good)

    assert set(result.groups["status"]) == {"ok"}
    assert not len(result.incidents)
    assert not result.has_incident
    assert result.sentence.startswith("2026-03-02: 0 of 12 tested groups changed; ")


def test_a_group_whose_errors_grew_alarms_and_is_listed_first(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    result = metamodel.monitor(model, changed(START, 4), baseline=reference)

    assert statuses(result).pop('["DE",3]') == "performance"
    assert (result.groups["status"] == "ok").sum() == 11
    assert result.groups.set_index("key").loc['["DE",3]', "columns"].endswith("; (coverage)")
    first = result.retrain.iloc[0]
    assert (first["key"], first["priority"], first["blocked"]) == ('["DE",3]', 1, False)
    assert result.groups.set_index("key").loc['["DE",3]', "coverage"] < 0.2
    assert set(result.incidents["kind"]) == {"performance", "drift"}  # of its errors, and of its target
    assert not result.incidents["blocks"].any()


def test_small_groups_borrow_earlier_windows(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    for number, start in enumerate([START, SECOND]):
        table = weeks(1, 20 + number, rows=8, start=start)
        table.loc[table["shop"] == 3, "sales"] += 4
        result = metamodel.monitor(model, table, baseline=reference, output=tmp_path)
        assert set(result.groups["status"]) == {"few rows"}
    table = weeks(1, 22, rows=8, start=THIRD)
    table.loc[table["shop"] == 3, "sales"] += 4

    result = metamodel.monitor(model, table, baseline=reference, output=tmp_path)

    assert statuses(result).pop('["DE",3]') == "performance"


def test_a_break_in_groups_too_small_to_be_tested_is_told_of_their_parents(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    result = metamodel.monitor(
        model, weeks(1, 20, rows=8).assign(price=lambda rows: rows["price"] * 1000), baseline=reference
    )

    assert "no group has enough rows to be tested by itself" in result.sentence
    words = result.incidents.loc[result.incidents["column"] == "price", "words"]
    assert words.str.contains("in all rows together").all()
    assert result.has_incident


def test_the_same_window_again_changes_nothing(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    metamodel.monitor(model, changed(START, 40), baseline=reference, output=tmp_path)
    table = changed(SECOND, 41)

    first = metamodel.monitor(model, table, baseline=reference, output=tmp_path)
    files = {path.name: path.read_bytes() for path in (tmp_path / "windows" / SECOND).iterdir()}
    second = metamodel.monitor(model, table.sample(frac=1, random_state=0), baseline=reference, output=tmp_path)

    pd.testing.assert_frame_equal(first.retrain, second.retrain)
    pd.testing.assert_frame_equal(first.groups, second.groups)
    assert second.retrain["windows_flagged"].max() == 2
    assert files.keys() == {path.name for path in (tmp_path / "windows" / SECOND).iterdir()}
    assert (tmp_path / "windows" / SECOND / "retrain.parquet").read_bytes() == files["retrain.parquet"]


def test_a_long_table_is_cut_into_windows_and_the_last_one_is_judged(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    result = metamodel.monitor(model, weeks(3, 50), baseline=reference, window="1w", output=tmp_path)

    assert result.facts["windows"] == [START, SECOND, THIRD]
    assert result.facts["window"] == THIRD
    assert result.facts["rows"] == 360


def _with_number(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(number=(table["week"] - pd.Timestamp("2026-01-05")).dt.days // 7)


@pytest.fixture(scope="module")
def numbered() -> metamodel.MetaModel:
    """A model of weeks that have a number."""
    trained = _with_number(weeks(8, 1, start="2026-01-05"))
    result = metamodel.train(
        trained, ["country", "shop"], "sales", "ridge", features=["price", "number"], time_column="week", n_jobs=1
    )
    return metamodel.MetaModel(result.bundle_path)


def test_functions_of_time_alone_are_left_out_and_named(numbered: metamodel.MetaModel, good: pd.DataFrame) -> None:
    found = metamodel.monitor(numbered, _with_number(weeks(1, 3)), baseline=_with_number(good))

    assert any("functions of time alone: number" in note for note in found.notes)
    assert "number" not in set(found.cells["column"])


def test_counts_of_weeks_say_together_which_columns_are_functions_of_time(
    numbered: metamodel.MetaModel, tmp_path: Path
) -> None:
    """In no week alone the number varies, and a week of one row has no two rows of one time."""
    baseline, table = _with_number(weeks(1, 2)), _with_number(weeks(3, 3))
    reference = reference_for(numbered, baseline)
    parts = [table[table["week"] == START], table[table["week"] == SECOND], table[table["week"] == THIRD].iloc[:1]]
    for i, part in enumerate(parts):
        (counted,) = count_table(numbered, reference, part, part["sales"], windows_of(part, "week", None, []))
        write_counts(counted.counts, tmp_path / f"{i}.parquet")

    found = metamodel.monitor(numbered, sorted(tmp_path.iterdir()), baseline=baseline)

    assert any("functions of time alone: number" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": pd.DataFrame({"row_id": [-1], "sales": [1.0]})},
            "No label fits a row: of 1 id none is in the table",
        ),
        (
            {"labels": pd.DataFrame({"row_id": [1, 1], "sales": [1.0, 2.0]})},
            "labels has 1 row whose id .* stands there",
        ),
        ({"labels": pd.DataFrame({"id": [1], "sales": [1.0]})}, "The labels lack row_id"),
        ({"data": weeks(1, 3).head(0)}, "The table has no row"),
        ({"baseline": "sprang"}, "There is no baseline 'sprang'"),
        ({"fdr": 2}, "fdr=2 is no rate"),
        ({"min_rows": 0}, "min_rows=0 is no number of rows"),
        ({"window": "a while"}, "window='a while' is no length of time"),
    ],
)
def test_bad_input_is_said_in_one_line(
    model: metamodel.MetaModel, good: pd.DataFrame, change: dict[str, Any], message: str
) -> None:
    given = {"data": weeks(1, 3), "baseline": good, **change}
    with pytest.raises(InputError, match=message) as caught:
        metamodel.monitor(model, given.pop("data"), **given)
    assert "\n" not in str(caught.value)


def test_a_table_of_labels_without_a_row_is_none_yet(model: metamodel.MetaModel, reference: ModelReference) -> None:
    table, labels = weeks(1, 3).drop(columns="sales"), pd.DataFrame({"row_id": [], "sales": []})

    result = metamodel.monitor(model, table, labels, baseline=reference)

    assert "the table of labels has no row" in result.notes
    assert result.facts["labels_without_row"] == 0


def test_of_more_times_than_are_kept_it_is_said_that_functions_of_time_were_not_asked(
    numbered: metamodel.MetaModel, good: pd.DataFrame
) -> None:
    table = _with_number(weeks(1, 3, rows=100))
    table["week"] = table["week"] + pd.to_timedelta(np.arange(len(table)), unit="s")

    result = metamodel.monitor(numbered, table, baseline=_with_number(good))

    assert any(note.startswith("which columns are functions of time alone is known of the") for note in result.notes)
    assert "number" in result.columns.loc[result.columns["left_out"], "column"].tolist()


def test_a_model_without_a_reference_says_so_in_one_line() -> None:
    without = metamodel.MetaModel(monitored(reference=False).bundle_path)
    with pytest.raises(InputError, match="trained without a reference, so there is nothing to compare with"):
        metamodel.monitor(without, weeks(1, 3))


def test_a_model_without_children_is_compared_with_a_table_of_good_rows_alone() -> None:
    result = monitored(min_rows=500, unknown="fallback")
    without, table = metamodel.MetaModel(result.bundle_path), weeks(1, 3)
    with pytest.raises(InputError, match="No group of this model has a child of its own"):
        metamodel.monitor(without, table)
    wrong = metamodel.monitor(without, table.assign(sales=table["sales"] * 1000), baseline=weeks(8, 1))
    assert len(wrong.incidents) > 0


def test_groups_of_the_baseline_that_nobody_answers_are_said_to_be_judged_by_their_rows_alone(
    model: metamodel.MetaModel, good: pd.DataFrame
) -> None:
    new = good[good["shop"] == good["shop"].iloc[0]].assign(shop=99)

    result = metamodel.monitor(model, weeks(1, 3), baseline=pd.concat([good, new]))

    alone = "1 group that the model does not answer, judged by their own rows alone"
    assert [note for note in result.notes if "judged by their own rows" in note] == [alone]


def test_of_a_table_without_a_feature_the_rest_is_said(model: metamodel.MetaModel, reference: ModelReference) -> None:
    table = weeks(1, 3).drop(columns="price")

    result = metamodel.monitor(model, table, baseline=reference)

    assert result.incidents[["kind", "what", "column"]].values.tolist() == [["data quality", "column missing", "price"]]
    tested = result.columns.set_index("column")["tested"]
    assert (tested["price"], tested["(prediction)"], tested["stock"]) == (0, 0, 12)
    assert "nothing could be predicted without 'price', so that no prediction and no error was judged" in result.notes
    assert not any("has a label yet" in note for note in result.notes)


def test_rows_with_predictions_are_taken_at_their_word(model: metamodel.MetaModel, reference: ModelReference) -> None:
    table = weeks(1, 3)
    answered = pd.concat([table, model.predict(table)[["prediction", "lower", "upper"]]], axis=1)

    first, second = (metamodel.monitor(model, rows, baseline=reference) for rows in (table, answered))

    pd.testing.assert_frame_equal(first.columns, second.columns)
    wrong = metamodel.monitor(model, answered.assign(prediction=answered["prediction"] + 5), baseline=reference)
    assert (wrong.groups["status"] == "performance").all()


def test_classes_are_judged_by_the_share_of_wrong_ones() -> None:
    def labelled(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(sales=np.where(table["price"] > 10, "high", "low").astype(object))

    result = metamodel.train(
        labelled(weeks(8, 1, start="2026-01-05")),
        ["country", "shop"],
        "sales",
        "logistic_regression",
        features=["price"],
        n_jobs=1,
    )
    table = labelled(weeks(1, 3))
    flipped = table["shop"] == 4
    table.loc[flipped, "sales"] = np.where(table.loc[flipped, "sales"] == "high", "low", "high")

    found = metamodel.monitor(
        metamodel.MetaModel(result.bundle_path), table, baseline=labelled(weeks(8, 2, start="2026-01-05"))
    )

    assert found.groups.loc[found.groups["status"] == "performance", "key"].tolist() == ['["FR",4]']
