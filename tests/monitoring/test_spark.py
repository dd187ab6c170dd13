"""Monitoring a Spark table: counted on the workers, the same to the last bit."""

from typing import Any

import pandas as pd
import pytest
from monitored import changed, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.exceptions import InputError

pytestmark = pytest.mark.spark


def test_a_spark_table_gives_the_findings_of_its_rows(
    spark: Any, model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = pd.concat([weeks(1, 3), changed("2026-03-09", 4)], ignore_index=True)
    table.loc[table.index % 7 == 0, "kind"] = None

    on_spark = metamodel.monitor(model, spark.createDataFrame(table), baseline=reference, window="1w")
    of_rows = metamodel.monitor(model, table, baseline=reference, window="1w")

    assert on_spark.facts["window"] == of_rows.facts["window"] == "2026-03-09"
    for name in ("groups", "columns", "cells", "slices", "incidents", "retrain"):
        pd.testing.assert_frame_equal(getattr(on_spark, name), getattr(of_rows, name))


def test_a_spark_table_without_times_is_refused(
    spark: Any, model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = spark.createDataFrame(weeks(1, 3).drop(columns="week"))
    with pytest.raises(InputError, match="A window of a Spark table is named by its times"):
        metamodel.monitor(model, table, baseline=reference)
