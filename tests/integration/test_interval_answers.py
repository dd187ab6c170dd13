"""Models with intervals: every way to ask gives the same `lower` and `upper`, and nothing else of a model changes."""

import json
import re
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from servers import metamodel_server, scoring_server
from spark_tables import assert_same_ledger

import metamodel
from metamodel.bundle.reader import Bundle
from metamodel.cli import main
from metamodel.evaluation.conformal import INTERVAL_COLUMNS
from metamodel.exceptions import CorruptBundle, InputError
from metamodel.flavor.export import export_child
from metamodel.report import render_report
from metamodel.report.inspection import overview

KEYS, FEATURES = ["country", "store"], ["x", "z"]
COLUMNS = ["prediction", "lower", "upper", "status"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Stores with 250 rows each, one with 12, many with 1 to 4; in another country one whose rows have no target."""
    rng = np.random.default_rng(0)
    sizes = {("FR", 1): 250, ("FR", 2): 250, ("FR", 3): 12, ("FR", 4): 1, ("DE", 1): 250, ("DE", 2): 20}
    sizes |= {("FR", store): 4 for store in range(10, 50)}
    keys = [key for key, size in sizes.items() for _ in range(size)]
    frame = pd.DataFrame(keys, columns=KEYS).assign(day=np.concatenate([np.arange(n) for n in sizes.values()]))
    frame[FEATURES] = rng.normal(size=(len(frame), 2))
    scale = 1 + frame["store"] * (frame["country"] == "FR")
    frame["y"] = frame["x"] * frame["store"] + scale * rng.normal(size=len(frame))
    frame.loc[(frame["country"] == "DE") & (frame["store"] == 2), "y"] = np.nan
    return frame


def train(table, path=None, **options):
    given = {
        "features": FEATURES,
        "n_jobs": 1,
        "unknown": "fallback",
        "prune": False,
        "interval": 0.9,
        "min_rows": 5,
        **options,
    }
    return metamodel.train(table, KEYS, "y", output_dir=path, **given)


@pytest.fixture(scope="module")
def result(table, tmp_path_factory):
    return train(table, tmp_path_factory.mktemp("intervals") / "bundle")


@pytest.fixture(scope="module")
def model(result):
    return metamodel.MetaModel(result.bundle_path)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Rows for children, a borrower, both kinds of parents, and nobody."""
    keys = [("FR", 1), ("FR", 3), ("FR", 4), ("FR", 77), ("DE", 2), ("XX", 1), ("FR", 1.5), (None, 1), ("DE", 1)]
    frame = pd.DataFrame(keys * 3, columns=KEYS)
    return frame.assign(x=np.linspace(-2, 2, len(frame)), z=np.linspace(1, -1, len(frame)))


def test_answers_lie_inside_intervals_of_who_answered(model, rows):
    answers = model.predict(rows, {"detail": True})
    assert list(answers)[:4] == COLUMNS
    answered = answers["prediction"].notna()
    assert answers["status"].iloc[:9].tolist() == [
        *("child", "child", "parent:1", "parent:1", "parent:1", "global", "invalid_key", "invalid_key", "child")
    ]
    keys = [("FR", 1), ("FR", 3), ("FR",), ("FR",), ("DE",), (), None, None, ("DE", 1)] * 3
    radius = [np.nan if key is None else model.radius(key) for key in keys]
    np.testing.assert_array_equal(answers["upper"], answers["prediction"] + radius)
    np.testing.assert_array_equal(answers["lower"], answers["prediction"] - radius)
    assert (answers["lower"] <= answers["prediction"])[answered].all()
    assert answers[["lower", "upper"]].isna().all(axis=1).equals(~answered)


def test_the_ledger_says_whose_rows_set_the_radius_and_what_it_reached(result):
    columns = list(result.ledger)
    assert columns[columns.index(INTERVAL_COLUMNS[0]) :][: len(INTERVAL_COLUMNS)] == list(INTERVAL_COLUMNS)
    found = result.ledger.set_index([*KEYS, "level"])
    assert found.loc[("FR", 1, 2), "interval_level"] == 2
    assert found.loc[("FR", 3, 2), "interval_level"] == 1
    assert found.loc[("FR", 3, 2), "interval_rows"] > found.loc[("FR", 1, 2), "interval_rows"]
    assert found.loc[("DE", 2, 2), ["status", "interval_rows"]].tolist() == ["skipped", 0]
    assert pd.isna(found.loc[("DE", 2, 2), "interval_radius"])
    assert 0.8 < result.summary["interval_coverage"] < 1
    assert result.summary["groups_borrowing_interval"] == 1
    assert result.manifest.options["interval"] == 0.9


def test_a_parents_interval_is_of_the_groups_that_it_answers_for(result, table):
    found = result.ledger.set_index([*KEYS, "level"])
    of_children = result.holdout["key"].astype(str).str.startswith('["FR"').sum()
    assert 19 <= found["interval_rows"].xs(1, level="level").loc["FR"].item() < of_children


def odd_stores(small, rows, shift, noise):
    """Three large stores near one line, small ones around it; half of the rows to train on, and fresh ones."""
    rng = np.random.default_rng(0)
    store = np.concatenate([np.repeat(np.arange(3), 600), np.repeat(np.arange(3, 3 + small), 2 * rows)])
    frame = pd.DataFrame({"country": "FR", "store": store, "day": np.arange(len(store))})
    frame[FEATURES] = rng.normal(size=(len(frame), 2))
    shifts = np.where(np.arange(3 + small) < 3, 0, shift * rng.normal(size=3 + small))
    frame["y"] = frame["x"] + shifts[store] + np.where(store < 3, 1, noise) * rng.normal(size=len(frame))
    return frame[frame["day"] % 2 == 0], frame[frame["day"] % 2 == 1]


@pytest.mark.parametrize(
    ("made", "options"),
    [
        ((60, 5, 8, 1), {"min_rows": 20}),
        ((60, 5, 8, 1), {"min_rows": 20, "time_column": "day"}),
        ((60, 5, 8, 1), {"min_rows": 20, "split": "kfold:5"}),
        ((60, 5, 8, 1), {"min_rows": 20, "shrinkage": "relative"}),
        ((60, 20, 0, 8), {"prune": True, "estimator": "decision_tree"}),
    ],
)
def test_rows_that_a_parent_answers_are_covered(made, options):
    known, fresh = odd_stores(*made)
    trained = train(known, **options)
    answers = metamodel.MetaModel(trained.bundle_path).predict(fresh)
    inside = fresh["y"].between(answers["lower"], answers["upper"])
    by_parents = answers["status"] != "child"
    assert by_parents.sum() > 200
    assert 0.85 < inside[by_parents].mean() < 0.96
    # Pruning keeps the children that look good on the very rows that calibrate them.
    assert (0.75 if "prune" in options else 0.85) < inside[~by_parents].mean() < 0.96
    assert abs(trained.summary["interval_coverage_fallback"] - 0.9) < 0.1


def test_a_global_model_alone_has_intervals_of_its_own_rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"country": "FR", "store": np.repeat(np.arange(100), 3)})
    frame[FEATURES] = rng.normal(size=(300, 2))
    frame["y"] = frame["x"] + rng.normal(size=300)
    trained = train(frame, min_rows=5)
    answers = metamodel.MetaModel(trained.bundle_path).predict(frame)
    assert frame["y"].between(answers["lower"], answers["upper"]).mean() > 0.85
    assert "interval_coverage" not in trained.summary
    assert trained.summary["interval_coverage_fallback"] > 0.8


@given(st.data())
def test_any_rows_in_any_number_have_the_answers_of_single_ones(model, rows, data):
    chosen = rows.iloc[data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=40))]
    whole = model.predict(chosen)
    assert len(whole) == len(chosen)
    alone = [model.predict(chosen.iloc[[i]]) for i in range(len(chosen))]
    if alone:
        pd.testing.assert_frame_equal(whole, pd.concat(alone), rtol=1e-12)
    records = model.predict_records(chosen)
    assert records == [
        {name: None if pd.isna(row[name]) else row[name] for name in COLUMNS} for _, row in whole.iterrows()
    ]


def test_stacked_and_single_children_have_the_same_intervals(table, result, rows, model):
    single = train(table, stack=False)
    pd.testing.assert_frame_equal(metamodel.MetaModel(single.bundle_path).predict(rows), model.predict(rows), rtol=1e-9)
    assert model.stats()["rows_stacked"] > 0


def test_children_are_the_same_with_and_without_intervals(table, result):
    plain = train(table, interval=None)
    assert plain.manifest.spec_digest == result.manifest.spec_digest
    assert plain.ledger["sha256"].tolist() == result.ledger["sha256"].tolist()
    assert not set(INTERVAL_COLUMNS) & set(plain.ledger)
    assert plain.manifest.group_values is None
    assert not (plain.bundle_path / "group_values").exists()
    model = metamodel.MetaModel(plain.bundle_path)
    assert list(model.predict(table)) == ["prediction", "status"]
    assert list(model.predict_records(table.head(1))[0]) == ["prediction", "status"]
    assert model.radius(("FR", 1)) is None


@pytest.mark.parametrize("name", INTERVAL_COLUMNS)
def test_a_group_column_must_not_be_named_like_a_column_of_intervals(table, name):
    renamed = table.rename(columns={"store": name})
    options = {"features": FEATURES, "n_jobs": 1}
    with pytest.raises(InputError, match=f"Group column '{name}' has the name of a ledger column"):
        metamodel.train(renamed, ["country", name], "y", interval=0.9, **options)
    assert len(metamodel.train(renamed.head(20), ["country", name], "y", **options).ledger) == 1


@pytest.mark.parametrize("options", [{"split": "kfold:5"}, {"time_column": "day"}, {"unknown": "null"}])
def test_every_split_and_policy_has_intervals(table, options):
    trained = train(table, **options)
    children = trained.ledger[(trained.ledger["level"] == 2) & (trained.ledger["status"] == "fitted")]
    assert children["interval_radius"].gt(0).all()
    if "split" in options:
        assert children["coverage_rows"].tolist() == [
            len(table[table[KEYS].eq(k).all(axis=1)]) for k in _keys(children)
        ]


def _keys(ledger):
    return ledger[KEYS].itertuples(index=False, name=None)


def test_pruned_children_leave_their_rows_to_the_radius_of_the_parent(table):
    noise = table.assign(y=np.random.default_rng(1).normal(size=len(table)))
    trained = train(noise, prune=True)
    pruned = trained.ledger[trained.ledger["reason"].str.startswith("pruned")]
    assert len(pruned)
    assert pruned["interval_radius"].isna().all()
    model = metamodel.MetaModel(trained.bundle_path)
    answers = model.predict(noise.merge(pruned[KEYS]))
    assert answers["upper"].notna().all()
    assert "child" not in set(answers["status"])


def test_too_few_rows_for_anybody_leave_predictions_without_interval(table, rows):
    trained = train(table.groupby(KEYS).head(10), unknown="null")
    answers = metamodel.MetaModel(trained.bundle_path).predict(rows)
    assert answers["prediction"].notna().any()
    assert answers[["lower", "upper"]].isna().all(axis=None)
    assert trained.summary["groups_without_interval"] == 4
    assert trained.ledger["interval_level"].isna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0}, "interval=0 is no share of rows to cover. Use a number between 0 and 1: 0.9."),
        ({"interval": 90}, "interval=90 is no share"),
        ({"interval": True}, "interval=True is no share"),
        ({"interval": "wide"}, "interval='wide' is no share"),
        ({"interval": float("nan")}, "interval=nan is no share"),
        ({"holdout": 0}, "interval=0.9 is measured on held-out rows, but holdout=0. Set a holdout."),
        ({"estimator": "logistic_regression"}, "interval=0.9 is for regression, but the estimator is a classifier."),
    ],
)
def test_what_cannot_have_intervals_is_refused_in_one_line(table, options, message):
    labelled = table.assign(y=np.where(table["x"] > 0, "a", "b")) if "estimator" in options else table
    with pytest.raises(InputError, match=f"^{message}"):
        train(labelled, **options)


def test_a_damaged_figure_gives_no_interval(result, rows, tmp_path):
    copy = shutil.copytree(result.bundle_path, tmp_path / "bundle")
    values = bytearray((copy / "group_values/values.npy").read_bytes())
    values[-1] ^= 1
    (copy / "group_values/values.npy").write_bytes(values)
    assert Bundle(copy).damaged_files() == ["group_values/values.npy"]
    damaged = metamodel.MetaModel(copy)
    with pytest.raises(CorruptBundle, match=r"values\.npy is not what was written"):
        damaged.predict(rows)


def test_people_see_the_intervals(result, model, tmp_path):
    said = overview(model, 1)["model"]["intervals"]
    reached = result.summary["interval_coverage"]
    assert said == f"for 90.0% of the rows, {reached:.1%} reached; 3 groups by their own rows, 1 by borrowed ones"
    page = render_report(model.bundle)
    assert "Inside 90 % intervals" in page
    assert re.search(r"\b1 with too few held-out rows take that", page)
    export_child(model, ("FR", 1), tmp_path / "child")
    exported = mlflow.models.Model.load(str(tmp_path / "child")).metadata["metamodel"]
    assert (exported["interval"], exported["interval_radius"]) == (0.9, model.radius(("FR", 1)))


def test_commands_train_score_and_pack(table, tmp_path):
    table.to_parquet(tmp_path / "table.parquet")
    bundle = str(tmp_path / "bundle")
    command = "train --group-by country,store --target y --features x,z --n-jobs 1 --no-stack --interval 0.9 --json"
    data = ["--data", str(tmp_path / "table.parquet")]
    trained = CliRunner().invoke(main, [*command.split(), *data, "--output-dir", bundle], catch_exceptions=False)
    assert json.loads(trained.stdout)["summary"]["groups_with_own_interval"] == 3
    uri = json.loads(trained.stdout)["model_uri"]
    assert mlflow.models.get_model_info(uri).signature.outputs.input_names() == COLUMNS
    packed = CliRunner().invoke(main, ["pack", bundle, *data], catch_exceptions=False)
    assert packed.exit_code == 0
    assert metamodel.MetaModel(bundle).manifest.stacks
    answers = []
    for model, name in ((uri, "logged.parquet"), (bundle, "packed.csv")):
        output = str(tmp_path / name)
        CliRunner().invoke(main, ["score", *data, "--model", model, "--output", output], catch_exceptions=False)
        answers.append(pd.read_parquet(output) if name.endswith("parquet") else pd.read_csv(output))
    assert list(answers[0])[-4:] == COLUMNS
    pd.testing.assert_frame_equal(answers[0][COLUMNS], answers[1][COLUMNS], rtol=1e-9)
    inside = answers[0]["y"].between(answers[0]["lower"], answers[0]["upper"])
    assert 0.85 < inside[answers[0]["upper"].notna()].mean() < 0.97


@pytest.mark.server
def test_both_servers_answer_alike(result, model, rows, tmp_path_factory):
    uri = metamodel.log_model(result, report=False).model_uri
    known = rows[rows["country"].notna() & (rows["store"] % 1 == 0)].astype({"store": int})
    expected = model.predict_records(known)
    request = json.dumps({"dataframe_records": known.to_dict(orient="records")})
    header = {"Content-Type": "application/json"}
    with (
        scoring_server(uri, tmp_path_factory.mktemp("mlflow")) as theirs,
        metamodel_server(uri, tmp_path_factory.mktemp("metamodel")) as ours,
    ):
        for server in (theirs, ours):
            answer = requests.post(f"{server.url}/invocations", data=request, headers=header, timeout=60)
            got = answer.json()["predictions"]
            assert list(got[0]) == COLUMNS
            pd.testing.assert_frame_equal(pd.DataFrame(got), pd.DataFrame(expected), rtol=1e-12)


@pytest.mark.spark
def test_spark_trains_and_scores_alike(spark, table, result, model, rows):
    trained = train(spark.createDataFrame(table), engine="spark")
    assert_same_ledger(trained.ledger, result.ledger)
    known = rows[rows["country"].notna() & (rows["store"] % 1 == 0)].astype({"store": int})
    known = known.assign(row=range(len(known)))
    expected = model.predict(known)[COLUMNS].reset_index(drop=True)
    frame = spark.createDataFrame(known)
    scored = metamodel.score(frame, result.bundle_path, engine="spark").toPandas().sort_values("row")
    pd.testing.assert_frame_equal(scored[COLUMNS].reset_index(drop=True), expected, rtol=1e-9)

    from pyspark.sql import functions

    udf = mlflow.pyfunc.spark_udf(spark, metamodel.log_model(result, report=False).model_uri, env_manager="local")
    answers = frame.withColumn("answer", udf(functions.struct(*KEYS, *FEATURES))).select("row", "answer.*")
    got = answers.toPandas().sort_values("row")[COLUMNS].reset_index(drop=True)
    pd.testing.assert_frame_equal(got, expected, rtol=1e-9)
