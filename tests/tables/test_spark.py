"""Tables are read by Spark as this machine reads them: files, tables of the catalogue, and what cannot be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from spark_tables import assert_same_ledger, both

import metamodel
from metamodel.exceptions import InputError
from metamodel.tables.spark import reason


def test_csv_is_read_as_on_this_machine(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f'{c},{i % 3 or ""},"say ""hi"", {c}",{i / 8},{"NA" if i % 5 else i},{i % 2 == 0},{i}' for i in range(60)
            for c in ("NA", "FR")]  # fmt: skip
    path.write_text("country,shop,note,price,gap,open,y\n" + "\n".join(rows) + "\n")
    local, on_spark = both(str(path), str(path), ["country", "shop"], "y", null_keys="group", min_rows=5)

    assert_same_ledger(local.ledger, on_spark.ledger)
    assert local.manifest.features == on_spark.manifest.features
    assert local.manifest.keys == on_spark.manifest.keys


def test_tables_of_the_catalogue_are_read_by_name(spark: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"shop": ["a", "b"] * 20, "x": np.arange(40.0), "y": np.arange(40.0)})
    spark.createDataFrame(frame).createOrReplaceTempView("sales_of_shops")

    assert metamodel.train("sales_of_shops", "shop", "y", engine="spark").summary["groups_fitted"] == 2
    with pytest.raises(InputError, match="no file, folder, table or sample named 'nowhere'"):
        metamodel.train("nowhere", "shop", "y", engine="spark")


def test_delta_without_its_jars_says_what_is_missing(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "table" / "_delta_log").mkdir(parents=True)

    with pytest.raises(InputError, match=r"Spark has no Delta Lake here\. Install delta-spark"):
        metamodel.train(str(tmp_path / "table"), "shop", "y", engine="spark")


def test_errors_of_java_are_told_by_their_cause_and_not_by_the_bridges_object(spark: Any) -> None:
    java = spark._jvm.java  # no DataFrame fails like this on purpose; the real one comes from reading results back
    with pytest.raises(Exception, match="An error occurred while calling") as plain:
        java.util.Optional.empty().get()
    assert reason(plain.value) == "java.util.NoSuchElementException: No value present"
    failing = java.util.concurrent.CompletableFuture.failedFuture(java.io.IOException("No space left on device"))
    with pytest.raises(Exception, match="An error occurred while calling") as caused:
        failing.get()
    assert reason(caused.value) == "java.io.IOException: No space left on device"
