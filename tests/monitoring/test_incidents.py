from pathlib import Path

import numpy as np
from monitored import weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.training.carrying.retrain_list import read_retrain_list


def test_a_broken_feed_is_one_incident_and_blocks_every_group_until_somebody_looked(
    model: metamodel.MetaModel, reference: ModelReference, tmp_path: Path
) -> None:
    table = weeks(1, 5)
    table["stock"] *= 1000

    result = metamodel.monitor(model, table, baseline=reference, output=tmp_path)

    assert result.incidents[["kind", "column", "groups"]].values.tolist() == [["systemic", "stock", 12]]
    assert "Predictions, or their errors, changed with it" in result.incidents["words"][0]
    assert len(result.retrain)
    assert result.retrain["blocked"].all()
    waiting = len(result.retrain)
    assert result.sentence.endswith(f"1 incident for somebody to look at; 0 groups to retrain, {waiting} more blocked.")
    assert read_retrain_list(str(tmp_path / "retrain.parquet"), model.manifest.keys, []) == {}

    told = metamodel.acknowledge(tmp_path, result.incidents["id"][0], by="ann", note="the new unit is right")
    again = metamodel.monitor(model, table, baseline=reference, output=tmp_path)

    assert told["incidents"] == result.incidents["id"].tolist()
    assert not again.has_incident
    assert not again.retrain["blocked"].any()
    assert "for somebody to look at" not in again.sentence
    assert again.sentence.endswith(f"; {waiting} groups to retrain.")


def test_missing_values_in_some_groups_are_one_incident_of_data_quality(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = weeks(1, 6)
    table.loc[table["shop"].isin([2, 7]) & (table.index % 2 == 0), "price"] = np.nan

    result = metamodel.monitor(model, table, baseline=reference)

    incidents = result.incidents[result.incidents["kind"] == "data quality"]
    assert incidents[["column", "what", "groups"]].values.tolist() == [["price", "missing values", 2]]
    assert set(result.retrain.loc[result.retrain["blocked"], "key"]) <= {'["IT",2]', '["FR",7]'}


def test_what_changed_in_a_country_is_told_of_the_country(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = weeks(1, 7)
    table.loc[table["country"] == "FR", "price"] += 3

    result = metamodel.monitor(model, table, baseline=reference)

    incidents = result.incidents[result.incidents["column"] == "price"]
    assert incidents[["kind", "key", "groups"]].values.tolist() == [["systemic", '["FR"]', 4]]
    under = result.groups[result.groups["incident"] == incidents["id"].iloc[0]]
    assert sorted(under["key"]) == sorted(key for key in result.groups["key"] if key.startswith('["FR"'))
    assert set(result.groups["incident"]) == {incidents["id"].iloc[0], ""}
    slices = result.slices[(result.slices["column"] == "price") & (result.slices["level"] == 1)].set_index("key")
    assert slices["p_value"].idxmin() == '["FR"]'


def test_errors_that_a_broken_feed_explains_are_not_told_again_because_one_shop_elsewhere_has_errors_too(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = weeks(1, 5)
    table.loc[table["country"] == "FR", "price"] *= 1000
    table.loc[(table["country"] == "DE") & (table["shop"] == 3), "sales"] += 40

    result = metamodel.monitor(model, table, baseline=reference)

    blocking = result.incidents[result.incidents["blocks"]]
    assert blocking[["kind", "key", "column"]].values.tolist() == [["systemic", '["FR"]', "price"]]
    assert "Predictions, or their errors, changed with it" in blocking["words"].iloc[0]
    assert result.retrain.loc[~result.retrain["blocked"], "key"].tolist() == ['["DE",3]']
