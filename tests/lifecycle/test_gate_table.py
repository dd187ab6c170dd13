"""Where the rows of a gate come from: rows of a Spark table are judged as those in memory are."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from planted import RULES, panel, train, weeks

import metamodel
from metamodel.exceptions import InputError
from metamodel.lifecycle.gate_table import gate_table


@pytest.mark.spark
def test_a_spark_table_is_judged_as_its_rows_are(spark: Any, tmp_path: Path) -> None:
    table = panel(2, 2)
    champion, candidate = (train(weeks(table, 0, stop), tmp_path / str(stop)) for stop in (92, 100))
    fresh = weeks(table, 100, 120)
    fresh.loc[fresh.index % 7 == 0, "promotion"] = None
    of_rows = metamodel.gate(candidate, fresh, champion, RULES)
    on_spark = metamodel.gate(candidate, spark.createDataFrame(fresh), champion, RULES)
    pd.testing.assert_frame_equal(on_spark.table, of_rows.table)
    assert (on_spark.facts["data"], on_spark.facts["rows"]) == ("Spark DataFrame", len(fresh))


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"data is a int. Give a DataFrame"):
        gate_table(7, ["store"])


def test_a_table_of_sparks_catalogue_is_told_how_to_be_judged() -> None:
    with pytest.raises(InputError, match=r"spark\.table\('lake\.sales'\)"):
        gate_table("lake.sales", ["store"])


@pytest.mark.parametrize("name", ["sales.csv", "sales.parquet", "week.csv.gz", "weeks"])
def test_a_file_that_is_not_there_is_no_table_of_sparks_catalogue(name: str) -> None:
    with pytest.raises(InputError, match=r"There is no file or folder .*Check the path"):
        gate_table(name, ["store"])
