"""Who is listed, in which order, and what blocks whom."""

from pathlib import Path

import numpy as np
import pandas as pd
from monitored import SECOND, START, THIRD, changed, statuses, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.monitoring.window_baselines import reference_for


def test_new_groups_are_listed_and_have_no_reference(model: metamodel.MetaModel, reference: ModelReference) -> None:
    result = metamodel.monitor(model, weeks(1, 3, shops=13), baseline=reference)

    assert statuses(result).pop('["DE",12]') == "no reference"
    row = result.retrain.set_index("key").loc['["DE",12]']
    assert (row["reasons"], row["priority"]) == ("new", 1)


def test_the_most_suspicious_are_listed_within_the_budget(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = changed(START, 4)
    for budget, most in ((0.0, 0), (0.25, 3), (0.5, 6)):
        listed = metamodel.monitor(model, table, baseline=reference, budget=budget).retrain
        assert listed["reasons"].str.contains("suspicious").sum() <= most
        assert listed["key"].iloc[0] == '["DE",3]'
        assert listed["priority"].is_monotonic_increasing


def test_too_long_a_list_blocks_itself_until_somebody_looked(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    table = weeks(1, 4)
    table.loc[table["shop"] < 4, "sales"] += np.array([4, -4, 4, -4])[table.loc[table["shop"] < 4, "shop"]]

    first = metamodel.monitor(model, table, baseline=reference, output=tmp_path, max_share=0.1)
    assert first.retrain["blocked"].all()
    assert first.incidents["blocks"].any()
    metamodel.acknowledge(tmp_path, "all")

    assert (
        not metamodel.monitor(model, table, baseline=reference, output=tmp_path, max_share=0.1).retrain["blocked"].any()
    )


def test_an_important_column_that_changed_in_two_of_three_windows_lists_its_group(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    reasons = []
    for number, start in enumerate([START, SECOND, THIRD]):
        table = weeks(1, 80 + number, start=start)
        if start != SECOND:
            table.loc[table["shop"] == 7, "price"] += 4
        listed = metamodel.monitor(model, table.drop(columns="sales"), baseline=reference, output=tmp_path).retrain
        reasons.append(dict(zip(listed["key"], listed["reasons"], strict=True)).get('["FR",7]', ""))
    assert reasons == ["", "", "drift"]


def test_a_child_that_was_just_replaced_has_to_show_what_it_is_worth(
    model: metamodel.MetaModel, good: pd.DataFrame, reference: ModelReference, tmp_path: Path
) -> None:
    other = reference_for(
        model, pd.concat([good[good["shop"] != 3], weeks(8, 9, start="2026-01-05").query("shop == 3")])
    )
    metamodel.monitor(model, weeks(1, 3), baseline=reference, output=tmp_path)

    listed = metamodel.monitor(model, changed(SECOND, 4), baseline=other, output=tmp_path).retrain.set_index("key")

    assert listed.loc['["DE",3]', "blocked_by"] == "retrained less than 2 windows ago"
    assert not listed["blocked"].drop('["DE",3]').any()


def test_groups_with_many_new_rows_are_listed_on_request(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    for start, seed in ((START, 3), (SECOND, 5)):
        listed = metamodel.monitor(
            model, weeks(1, seed, start=start), baseline=reference, output=tmp_path, min_new_rows=0.2
        ).retrain
    rows = listed[listed["reasons"].str.contains("rows")]
    assert len(rows) == 12  # 60 rows since, of 240
    assert set(rows.loc[rows["reasons"] == "rows", "priority"]) == {4}


def test_a_group_that_alarmed_stays_listed_because_its_next_child_knows_little_of_the_break(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    metamodel.monitor(model, changed(START, 4), baseline=reference, output=tmp_path)

    listed = metamodel.monitor(model, weeks(1, 5, start=SECOND), baseline=reference, output=tmp_path).retrain

    row = listed.set_index("key").loc['["DE",3]']
    assert "follow-up" in row["reasons"]
    assert (row["priority"], row["first_flagged"], row["windows_flagged"]) == (2, START, 2)
