"""What the data checks count in a Spark table is what they count in a table of this machine."""

from typing import Any

import numpy as np
import pytest
from checked_tables import EXPECTED, clean, fit, shops, spoiled

from metamodel.exceptions import InputError
from metamodel.training.train import train


@pytest.mark.spark
def test_every_fault_is_found_on_spark_in_the_same_words(spark: Any) -> None:
    local, on_spark = fit(spoiled()), fit(spark.createDataFrame(spoiled()), engine="spark")
    assert {(one.check, one.columns) for one in on_spark.findings} == EXPECTED
    assert on_spark.findings == local.findings
    labels = clean().assign(y=lambda f: np.where(f["x"] > 0, "dear", "fair"), label=lambda f: f["y"])
    results = [
        train(data, "shop", "y", "decision_tree", n_jobs=1, engine=engine)
        for data, engine in ((labels, "local"), (spark.createDataFrame(labels), "spark"))
    ]
    assert [[one.check for one in result.findings] for result in results] == [["leakage"], ["leakage"]]


@pytest.mark.spark
def test_spark_refuses_what_this_machine_refuses_in_the_same_words(spark: Any) -> None:
    expected = {"shop": "string", "x": "boolean", "w": "number"}
    said = []
    for data, engine in ((spoiled(), "local"), (spark.createDataFrame(spoiled()), "spark")):
        with pytest.raises(InputError, match="7 data checks failed under strict=True") as caught:
            fit(data, engine=engine, schema=expected, strict=True)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_it_is_found_on_spark_in_the_same_words(spark: Any, kind: str) -> None:
    on_spark = fit(spark.createDataFrame(shops(kind)), engine="spark")
    assert on_spark.findings == fit(shops(kind)).findings != ()
