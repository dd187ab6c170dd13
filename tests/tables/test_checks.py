"""Data checks: what is said of a table before anything is fitted, on both engines in the same words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.tables.checks import findings, group_sizes, table_facts
from metamodel.training.result import TrainingResult
from metamodel.training.train import train


def clean(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    shop = np.array(["a", "b", "c"])[np.arange(rows) % 3]
    return pd.DataFrame(
        {"shop": shop, "x": rng.normal(size=rows), "z": rng.normal(size=rows), "y": rng.normal(size=rows)}
    )


def spoiled() -> pd.DataFrame:
    """One fault of every kind."""
    frame = clean()
    return frame.assign(
        shop=frame["shop"].where(frame.index % 6 != 1, " B "),
        fixed=1.0,
        empty=np.nan,
        wild=np.where(frame.index == 5, np.inf, frame["x"]),
        double=2 * frame["y"] - 7,
        opposite=-frame["y"].astype("float32"),
    )


EXPECTED = {
    ("keys", ("shop",)),
    ("constant", ("fixed",)),
    ("null", ("empty",)),
    ("infinite", ("wild",)),
    ("leakage", ("double",)),
    ("leakage", ("opposite",)),
}


def fit(frame: Any, **options: Any) -> TrainingResult:
    return train(frame, "shop", "y", "decision_tree", n_jobs=1, **options)


def test_a_clean_table_has_no_findings() -> None:
    result = fit(clean())
    assert (result.findings, result.summary["data_findings"]) == ((), 0)


def test_every_fault_is_found_and_said(caplog: pytest.LogCaptureFixture) -> None:
    result = fit(spoiled())
    assert {(one.check, one.columns) for one in result.findings} == EXPECTED
    assert result.summary["data_findings"] == 6
    assert [record.getMessage() for record in caplog.records] == [f"warning: {one.message}" for one in result.findings]
    assert all("\n" not in one.message for one in result.findings)


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


def shops(kind: str) -> pd.DataFrame:
    """Four shops; in one the revenue is the units times a constant price, in another the tag is the label."""
    rng = np.random.default_rng(1)
    shop = np.repeat([7, 8, 9, 10], 60)
    units = rng.poisson(30, 240).astype(float)
    price = np.where(shop == 9, 2.5, rng.uniform(1, 3, 240))
    frame = pd.DataFrame({"shop": shop, "x": rng.normal(size=240), "y": units, "revenue": price * units})
    frame.loc[3, ["y", "revenue"]] = np.nan
    if kind == "numbers":
        return frame
    label = np.where(units > 30, "many", "few")
    tag = np.where(shop == 10, label, rng.permutation(label))
    return frame[["shop", "x"]].assign(y=label, tag=tag)


@pytest.mark.parametrize(("kind", "feature", "shop"), [("numbers", "revenue", 9), ("labels", "tag", 10)])
def test_a_feature_that_is_the_target_in_one_group_alone_is_found(kind: str, feature: str, shop: int) -> None:
    (found,) = fit(shops(kind)).findings
    assert (found.check, found.columns) == ("leakage", (feature,))
    assert found.message.startswith(
        f"Feature {feature!r} is the target or a linear copy of it within 1 group (({shop},)), where it tells what"
    )


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_it_is_found_on_spark_in_the_same_words(spark: Any, kind: str) -> None:
    on_spark = fit(spark.createDataFrame(shops(kind)), engine="spark")
    assert on_spark.findings == fit(shops(kind)).findings != ()


def test_few_values_and_rare_labels_are_alike_by_chance() -> None:
    flags = pd.DataFrame({"shop": np.repeat(np.arange(5), 40), "flag": (np.arange(200) % 40 < 3).astype(float)})
    flags["x"] = np.random.default_rng(0).normal(size=200)
    sold = flags.assign(y=flags["flag"] * (1 + flags["shop"]))
    assert [one.check for one in fit(sold).findings] == []
    said = flags.assign(flag=np.where(flags["flag"] > 0, "yes", "no"))
    said["y"] = np.where(said["shop"] == 0, said["flag"], np.where(said["x"] > 0, "yes", "no"))
    assert [one.check for one in fit(said).findings] == []


def test_a_copy_in_the_whole_table_is_said_once() -> None:
    assert [one.columns for one in fit(clean().assign(same=lambda f: 2 * f["y"])).findings] == [("same",)]


def test_strict_refuses_the_table_with_all_findings_in_one_line() -> None:
    with pytest.raises(InputError, match=r"6 data checks failed under strict=True: \(1\) .* \(6\) .*") as caught:
        fit(spoiled(), strict=True)
    assert "\n" not in str(caught.value)


def test_strict_takes_a_clean_table() -> None:
    assert fit(clean(), strict=True).summary["groups_fitted"] == 3


def test_the_difference_to_a_declared_schema_is_printed() -> None:
    result = fit(clean(), schema={"shop": "string", "x": "boolean", "w": "number"})
    assert [(one.check, one.columns) for one in result.findings] == [("schema", ("x", "w", "z"))]
    message = (
        "The columns are not the expected ones: changed 'x': boolean → number; missing 'w': number; new 'z': number."
    )
    assert result.findings[0].message.startswith(message)


@pytest.mark.parametrize("opened", [False, True])
def test_the_difference_to_the_previous_version_is_printed(tmp_path: Path, opened: bool) -> None:
    from metamodel.bundle.model import MetaModel

    before = fit(clean(), output_dir=tmp_path / "before").bundle_path
    previous = MetaModel(before) if opened else before
    assert fit(clean(), previous=previous).findings == ()
    with pytest.raises(InputError, match="changed 'z': number → string; missing 'x': number; new 'w': number"):
        fit(clean().rename(columns={"x": "w"}).assign(z="text"), previous=previous, strict=True)


def test_a_uri_needs_the_edge() -> None:
    message = "previous='models:/sales@champion' is an MLflow URI. Give metamodel.load_model('models:/sales@champion')."
    with pytest.raises(InputError, match=re.escape(message)):
        fit(clean(), previous="models:/sales@champion")


def test_few_rows_are_no_proof_of_a_copy() -> None:
    frame = clean(9).assign(x=lambda f: f["y"])
    assert findings(table_facts(frame, ["x"], "y", ["shop"]), "y", {}, None) == []


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_the_gini_coefficient_is_half_the_relative_mean_difference(sizes: list[int]) -> None:
    rows = np.array(sizes, dtype=float)
    expected = np.abs(rows[:, None] - rows).mean() / (2 * rows.mean())
    assert group_sizes(sizes)["group_rows_gini"] == pytest.approx(expected, abs=1e-12)
