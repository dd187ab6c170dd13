"""Models with shrinkage wherever models are used: stacks, servers, Spark, references, packed, damaged."""

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from servers import metamodel_server
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from spark_tables import assert_same_ledger

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.cli import main
from metamodel.common.byte_cache import ByteCache
from metamodel.datasets import make_store_sales
from metamodel.exceptions import CorruptBundle
from metamodel.flavor.load import load_model
from metamodel.report import render_report
from metamodel.report.inspection import overview
from metamodel.serving.scorer import Scorer
from metamodel.tracking.pack_children import pack_children
from metamodel.tracking.references.reference_model import write_references
from metamodel.training.build_stacks import stack_bundle

KEYS = ["country", "store", "product"]
FEATURES = ["price", "promotion", "trend"]
PANEL = make_store_sales(n_stores=4, n_products=3, n_weeks=30, broken=False)
OPTIONS = {"features": FEATURES, "shrinkage": "relative", "unknown": "fallback", "n_jobs": 1}


def fit(path: Path | None = None, estimator: Any = None, **options: Any) -> Any:
    estimator = Ridge() if estimator is None else estimator
    return metamodel.train(PANEL, KEYS, "units", estimator, output_dir=path, **(OPTIONS | options))


def questions() -> pd.DataFrame:
    """Rows of known groups, of groups that only parents know, and of none."""
    rows = PANEL.iloc[::5][[*KEYS, *FEATURES]].reset_index(drop=True).astype({"store": object})
    rows.loc[3, "product"], rows.loc[5, "store"], rows.loc[7, "country"], rows.loc[9, "store"] = "P9", 99, "XX", 7.5
    rows.loc[11, "price"] = np.nan
    return rows


def by_hand(model: MetaModel, rows: pd.DataFrame) -> list[float]:
    """Ask every child for itself, and blend by the ledger's weights."""
    ledger = model.ledger
    keys = ledger[KEYS].astype(object).where(ledger[KEYS].notna(), None)
    weights = {tuple(key[:level]): json.loads(text) for key, level, text in zip(
        keys.to_numpy().tolist(), ledger["level"], ledger["weights"], strict=True)}  # fmt: skip
    found = []
    for row in rows.to_dict("records"):
        key = next(key for level in (3, 2, 1, 0) if (key := tuple(row[name] for name in KEYS[:level])) in weights)
        x = pd.DataFrame([row])[FEATURES].astype(float)
        found.append(sum(w * model.child(key[:i]).predict(x)[0] for i, w in enumerate(weights[key])))
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(fit(tmp_path_factory.mktemp("shrunk") / "bundle").bundle_path)


@pytest.fixture(scope="module")
def logged(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(metamodel.log_model(fit(), detail=True, report=False).model_uri)


def test_answers_are_the_childrens_own_ones_blended_by_the_ledgers_weights(bundle: Path) -> None:
    model, rows = MetaModel(bundle), questions()
    answers = model.predict(rows)
    statuses = {3: "parent:2", 5: "parent:1", 7: "global", 9: "invalid_key", 11: "failed"}
    assert answers["status"].tolist() == [statuses.get(i, "child") for i in range(len(rows))]
    good = ~answers["status"].isin(["invalid_key", "failed"])
    np.testing.assert_allclose(answers.loc[good, "prediction"], by_hand(model, rows[good]), rtol=1e-9)
    assert answers.loc[~good, "prediction"].isna().all()


def test_a_row_alone_a_batch_and_records_say_the_same(bundle: Path) -> None:
    model, rows = MetaModel(bundle), questions()
    together = model.predict(rows)
    alone = pd.concat([model.predict(rows.iloc[[i]]) for i in range(len(rows))])
    pd.testing.assert_frame_equal(alone, together, rtol=1e-12)
    records = [record["prediction"] for record in model.predict_records(rows)]
    assert records == [None if np.isnan(number) else number for number in together["prediction"]]


@pytest.mark.parametrize("estimator", [LinearRegression(), RandomForestRegressor(3, max_depth=3)], ids=repr)
def test_stacked_children_and_parents_answer_as_they_would_alone(estimator: Any, tmp_path: Path) -> None:
    plain = MetaModel(fit(tmp_path / "plain", estimator, stack=False).bundle_path)
    stack_bundle(plain.bundle.path, PANEL, tmp_path / "stacked")
    stacked = MetaModel(tmp_path / "stacked", ByteCache(10**8))
    assert len(stacked.manifest.stacks) == 1
    rows = questions().drop(index=11)
    pd.testing.assert_frame_equal(stacked.predict(rows), plain.predict(rows), rtol=1e-9)
    assert stacked.stats()["cache"]["entries"] <= 3  # the parents that answer for three rows' groups, and nobody else


def test_a_server_answers_at_once_only_when_the_parents_are_in_memory_too(tmp_path: Path) -> None:
    fit(tmp_path / "bundle", stack=False)
    model = MetaModel(tmp_path / "bundle", ByteCache(10**8))
    row = PANEL.head(1)
    read = model.route.read(row)
    model.bundle.load((row["country"].iloc[0], int(row["store"].iloc[0]), row["product"].iloc[0]))
    assert not model.at_hand(read)
    model.predict(row)
    assert model.at_hand(read)


def test_both_servers_ways_give_the_answers_of_predict(bundle: Path) -> None:
    scorer = Scorer(load_model(bundle), max_rows=1000)
    rows = PANEL.iloc[::5][[*KEYS, *FEATURES]].reset_index(drop=True)
    expected = MetaModel(bundle).predict_records(rows)
    body = json.dumps({"dataframe_records": rows.to_dict("records")}).encode()
    request = scorer.read(body, "application/json")
    assert request is not None
    for reply in (scorer.answer(request), scorer.answer_by_mlflow(body, "application/json")):
        given = json.loads(reply.body)["predictions"]
        assert [row["status"] for row in given] == [row["status"] for row in expected]
        np.testing.assert_allclose([r["prediction"] for r in given], [r["prediction"] for r in expected], rtol=1e-9)


@pytest.mark.server
def test_a_real_server_blends(logged: str, tmp_path: Path) -> None:
    rows = PANEL.iloc[::50][[*KEYS, *FEATURES]]
    with metamodel_server(logged, tmp_path) as server:
        body = json.dumps({"dataframe_split": rows.to_dict("split", index=False)}).encode()
        asked = urllib.request.Request(f"{server.url}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            given = json.load(answer)["predictions"]
    expected = metamodel.load_model(logged).predict(rows)
    np.testing.assert_allclose([row["prediction"] for row in given], expected["prediction"], rtol=1e-9)


@pytest.mark.spark
def test_spark_trains_scores_and_serves_the_same(spark: Any, logged: str) -> None:
    from pyspark.sql import functions

    groups, few = KEYS[:2], PANEL[PANEL["product"] == "P001"]
    local, on_spark = (
        metamodel.train(table, groups, "units", Ridge(), engine=engine, **OPTIONS)
        for table, engine in ((few, "local"), (spark.createDataFrame(few), "spark"))
    )
    assert_same_ledger(local.ledger, on_spark.ledger)
    answers = [MetaModel(result.bundle_path).predict(few)["prediction"] for result in (local, on_spark)]
    np.testing.assert_allclose(*answers, rtol=1e-9)

    rows = few.iloc[::7][[*KEYS, *FEATURES]].assign(row=lambda frame: range(len(frame)))
    expected = metamodel.load_model(logged).predict(rows)["prediction"]
    sent = spark.createDataFrame(rows).coalesce(1)
    scored = metamodel.score(sent, logged, engine="spark").toPandas().sort_values("row")
    np.testing.assert_allclose(scored["prediction"], expected, rtol=1e-9)
    udf = mlflow.pyfunc.spark_udf(spark, logged, env_manager="local")
    asked = sent.withColumn("answer", udf(functions.struct(*KEYS, *FEATURES))).select("row", "answer.prediction")
    np.testing.assert_allclose(asked.toPandas().sort_values("row")["prediction"], expected, rtol=1e-9)


# -------- children that others refer to
def test_a_reference_to_a_child_of_this_model_answers_blended(logged: str, tmp_path: Path) -> None:
    rows = PANEL.iloc[::7][[*KEYS, *FEATURES]]
    uris = rows[KEYS].drop_duplicates().assign(uri=logged)
    path = write_references(tmp_path / "referring", uris, rows, KEYS, "units")
    expected = metamodel.load_model(logged).predict(rows)["prediction"]
    referring = load_model(path)
    answers = referring.predict(rows)
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], expected, rtol=1e-9)
    packed = load_model(pack_children(referring, tmp_path / "packed"))
    np.testing.assert_allclose(packed.predict(rows)["prediction"], expected, rtol=1e-9)
    key = tuple(rows.iloc[0][KEYS])
    assert isinstance(referring.child(key), Ridge)


# -------- the command line
def test_the_command_line_says_what_shrinkage_does(tracking_uri: str, tmp_path: Path) -> None:
    PANEL.to_csv(tmp_path / "panel.csv", index=False)
    arguments = ["train", "--data", str(tmp_path / "panel.csv"), "--group-by", ",".join(KEYS), "--target", "units"]
    arguments += ["--features", ",".join(FEATURES), "--n-jobs", "1", "--output-dir", str(tmp_path / "bundle")]
    options = ["--shrinkage", "constant", "--shrinkage-params", '{"alpha": 0.05}']
    done = CliRunner().invoke(main, [*arguments, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "groups better than alone; mean held-out rmse" in done.output
    assert MetaModel(tmp_path / "bundle").manifest.options["shrinkage"] == {
        "method": "constant",
        "params": {"alpha": 0.05},
    }
    wrong = CliRunner().invoke(main, [*arguments, "--shrinkage", "constant"])
    assert (wrong.exit_code, "takes exactly the argument alpha" in wrong.output) == (2, True)


def test_an_exported_child_is_the_groups_own_part_and_the_command_says_so(bundle: Path, tmp_path: Path) -> None:
    key = PANEL[KEYS].astype(object).iloc[0].tolist()
    arguments = ["export", str(bundle), "--group", json.dumps(key), "--output", str(tmp_path / "child")]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert "the meta-model blends this child's predictions with its parents'; alone it does not" in done.stderr
    exported = mlflow.sklearn.load_model(str(tmp_path / "child"))
    x = PANEL.head(5)[FEATURES]
    np.testing.assert_allclose(exported.predict(x), MetaModel(bundle).child(tuple(key)).predict(x))


# -------- damage
def test_damaged_weights_answer_nothing(bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    values = broken / "group_values/values.npy"
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    model = MetaModel(broken)
    assert model.bundle.damaged_files() == ["group_values/values.npy"]
    with pytest.raises(CorruptBundle, match=r"values\.npy is not what was written"):
        model.predict(PANEL.head(1))


@pytest.mark.slow
def test_functions_are_used_in_training_alone(tmp_path: Path) -> None:
    secret = object()  # cannot be pickled by reference, nor copied into the bundle
    result = fit(tmp_path / "bundle", shrinkage=lambda sizes: [1 + (secret is None) for _ in sizes], n_jobs=2)
    assert result.manifest.options["shrinkage"]["method"].endswith("<lambda>")
    mean = fit(shrinkage="equal")
    rows = PANEL.iloc[::7]
    found, expected = (metamodel.load_model(one.bundle_path).predict(rows) for one in (result, mean))
    pd.testing.assert_frame_equal(found, expected)


# -------- what people look at
def test_the_report_and_inspect_say_that_predictions_are_blended(bundle: Path) -> None:
    page = render_report(Bundle(bundle))
    assert "Predictions are blended with those of the parents (relative)." in page
    assert overview(MetaModel(bundle), worst=1)["model"]["shrinkage"] == "relative"


def test_preloading_a_group_loads_the_parents_that_it_is_blended_with(tmp_path: Path) -> None:
    fit(tmp_path / "bundle", stack=False)
    model = MetaModel(tmp_path / "bundle", ByteCache(10**8))
    row = PANEL.head(1)
    loaded = model.preload([(row["country"].iloc[0], int(row["store"].iloc[0]), row["product"].iloc[0])])
    assert (loaded.asked, loaded.loaded) == (4, 4)
    assert model.at_hand(model.route.read(row))
