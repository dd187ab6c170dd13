"""Tuned training from end to end: the same on every engine, parents first, in time, resumed, logged."""

import json
import time

import mlflow
import numpy as np
import pandas as pd
import pytest
from children import FATAL, MARK, FailsAbove
from click.testing import CliRunner
from sklearn.linear_model import Ridge
from spark_tables import assert_same_ledger

import metamodel
from metamodel.cli import main
from metamodel.datasets import make_store_sales
from metamodel.exceptions import AllGroupsFailed, InputError
from metamodel.training.engines import group_fitter

KEYS, FEATURES = ["store", "product"], ["price", "promotion", "trend", "season_sin", "season_cos"]
SPACE = {"ridge": {"alpha": (1e-3, 1e2, "log")}}


# Of the ledger and the table of trials, what differs from run to run.
OF_A_RUN = ["seconds", "trained_at"]


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    return make_store_sales(n_stores=3, n_products=2, n_weeks=40)


def train(data, **options):
    options = {"tune": SPACE, "trials": 6, "time_column": "week", "features": FEATURES, "n_jobs": 1, **options}
    return metamodel.train(data, KEYS, "units", **options)


def assert_same_search(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        one.drop(columns=OF_A_RUN, errors="ignore"), other.drop(columns=OF_A_RUN, errors="ignore"), rtol=1e-9
    )


@pytest.mark.parametrize("estimator", ["ridge", {"ridge": Ridge(), "tree": "sklearn.tree.DecisionTreeRegressor"}])
def test_same_seed_gives_the_same_parameters_in_one_process_and_in_two(sales, estimator):
    one, two = (train(sales, estimator=estimator, n_jobs=n, unknown="fallback", prune=False) for n in (1, 2))
    assert_same_search(one.tuning, two.tuning)
    assert_same_ledger(one.ledger, two.ledger)


@pytest.mark.parametrize("unknown", ["fallback", "null"])
def test_parents_best_parameters_are_tried_first_by_their_children(unknown):
    # All histories end together, so that no group's held-out rows are older than what its parent has seen.
    sales = make_store_sales(n_stores=3, n_products=2, n_weeks=40, broken=False)
    # Untuned it cannot be fitted, and one value is as good as another: the first one that is tried stays.
    space = {"FailsAbove": {"level": (0.0, 0.4)}}
    result = train(sales, estimator=FailsAbove(level=0.7), tune=space, trials=2, unknown=unknown)
    found = result.tuning.loc[result.tuning["params"] != "{}", "params"]
    assert len(found) > 5
    assert found.nunique() == (1 if unknown == "fallback" else len(found))


@pytest.mark.parametrize(
    "options", [{"unknown": "fallback", "prune": False}, {"unknown": "null", "shrinkage": "relative"}]
)
def test_held_out_rows_of_an_early_group_do_not_reach_its_search_through_its_parent(options):
    rng = np.random.default_rng(0)
    times = np.concatenate([np.arange(200), np.arange(100, 1000)])
    frame = pd.DataFrame(rng.normal(size=(len(times), 3)), columns=["a", "b", "c"])
    frame = frame.assign(t=times, store=np.repeat([0, 1], [200, 900]), y=frame["a"] + rng.normal(size=len(times)))
    changed = frame.assign(y=frame["y"].mask((frame["store"] == 0) & (frame["t"] >= 160), 100 * frame["y"]))
    options = {"tune": SPACE, "trials": 2, "time_column": "t", "features": ["a", "b", "c"], "n_jobs": 1, **options}
    children = {"ridge": Ridge(alpha=1e4)}
    one, other = (metamodel.train(data, "store", "y", children, **options).tuning for data in (frame, changed))
    early, late, parent = one["params"]
    assert one["level"].tolist() == [1, 1, 0]
    assert early == other["params"][0]
    assert parent != other["params"][2]
    # What the parent learned from ends before the rows that are held out of the other group.
    assert late == parent != early


def test_table_has_a_row_for_every_searched_group_and_candidate(sales):
    estimators = {"ridge": "ridge", "lasso": "lasso", "linear": "linear_regression"}
    result = train(sales, estimator=estimators, tune={**SPACE, "lasso": "auto"}, trials=2)
    fitted = result.ledger[result.ledger["status"] == "fitted"]
    assert len(result.tuning) == 2 * len(fitted)
    assert result.tuning.groupby(KEYS)["chosen"].sum().le(1).all()
    assert list(result.tuning.columns[:6]) == [*KEYS, "level", "chosen", "candidate", "estimator"]
    assert train(sales, tune=None).tuning.empty


def test_table_is_an_artifact_of_the_run(sales):
    result = train(sales, trials=2)
    with mlflow.start_run() as run:
        metamodel.log_model(result, report=False)
    folder = mlflow.artifacts.download_artifacts(run_id=run.info.run_id)
    parquet, csv = pd.read_parquet(f"{folder}/tuning.parquet"), pd.read_csv(f"{folder}/tuning.csv")
    assert list(parquet.columns) == list(csv.columns) == list(result.tuning.columns)
    assert parquet["params"].tolist() == csv["params"].tolist() == result.tuning["params"].tolist()
    assert mlflow.get_run(run.info.run_id).data.params["train.trials"] == "2"


def test_what_decides_the_search_decides_the_digest(sales):
    base = train(sales, trials=1).manifest.spec_digest
    assert train(sales, trials=1, n_jobs=2).manifest.spec_digest == base
    others = [{"trials": 2}, {"trials": 1, "patience": 1}, {"trials": 1, "tune": "auto"}, {"tune": None}]
    assert base not in {train(sales, **other).manifest.spec_digest for other in others}


def test_interrupted_training_goes_on_with_the_same_parameters(sales, tmp_path, monkeypatch):
    options = {"unknown": "fallback", "prune": False, "pooled": False}  # the rival of all groups has their key, ()
    whole = train(sales, **options)
    fitted, again = [], []
    fit = group_fitter.fit_group

    def fit_again(data, spec, search, start):
        again.append(data.key)
        return fit(data, spec, search, start)

    def stop_after_parents(data, spec, search=None, start=None):
        if len(data.key) == len(KEYS) and len(fitted) > 4:
            raise KeyboardInterrupt
        fitted.append(data.key)
        return fit(data, spec, search, start)

    monkeypatch.setattr(group_fitter, "fit_group", stop_after_parents)
    with pytest.raises(KeyboardInterrupt):
        train(sales, **options, output_dir=tmp_path / "bundle")
    first = fitted.copy()
    monkeypatch.setattr(group_fitter, "fit_group", fit_again)
    resumed = train(sales, **options, output_dir=tmp_path / "bundle")
    assert_same_search(whole.tuning, resumed.tuning)
    assert () in first
    assert () not in again


@pytest.mark.slow
@pytest.mark.tableless
@pytest.mark.parametrize("engine", ["local", pytest.param("spark", marks=pytest.mark.spark)])
def test_trial_that_kills_its_process_becomes_a_row_of_the_ledger(engine, request):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 2)), columns=["x", "y"]).assign(g=np.repeat([1, 2, 3, 4], 20))
    frame.loc[[20, 25, 30, 35], "x"] = MARK  # a trial is killed
    frame.loc[60:, "x"] = FATAL  # every fit is killed
    space = {"FailsAbove": {"level": [0.95]}}
    data = frame if engine == "local" else request.getfixturevalue("spark").createDataFrame(frame)
    options = {"tune": space, "trials": 1, "features": ["x"], "holdout": 0, "n_jobs": 2, "engine": engine}
    result = metamodel.train(data, "g", "y", FailsAbove(), duplicates="keep", **options)
    ledger = result.ledger.set_index("g")
    assert ledger["status"].tolist() == ["fitted", "fitted", "fitted", "failed"]
    assert ledger.loc[2, "reason"] == "not_tuned: a trial killed its process"
    assert ledger.loc[1, "reason"].startswith("not_tuned: every trial failed (1), the last with ValueError")
    assert ledger.loc[4, "reason"] == "worker_died"
    assert ledger.loc[4, "error"].startswith("WorkerDied: the process that fitted this group was killed")
    assert result.tuning.set_index("g")["failed"].to_dict() == {1: 1, 2: 0, 3: 1}


@pytest.mark.parametrize("name", ["trials", "candidate"])
def test_group_column_with_the_name_of_a_column_of_the_table_is_refused(sales, name):
    frame = sales.rename(columns={"store": name})
    with pytest.raises(InputError, match=f"'{name}' has the name of a ledger column"):
        metamodel.train(frame, [name, "product"], "units", features=FEATURES, tune=SPACE)


def test_folds_that_test_every_row_are_searched_one_by_one(sales):
    one, two = (train(sales, time_column=None, split="kfold:3", trials=3, n_jobs=n) for n in (1, 2))
    assert_same_search(one.tuning, two.tuning)
    assert_same_ledger(one.ledger, two.ledger)
    assert one.tuning["trials"].max() == 4 * 3
    assert set(one.ledger.loc[one.ledger["rows"] > 20, "folds"]) == {3}


def test_groups_own_parameters_are_not_searched(sales):
    own = [{"store": 1, "product": "P001", "estimator_params": {"alpha": 5.0}}]
    result = train(sales, overrides=own, trials=1)
    row = result.ledger.set_index(KEYS).loc[(1, "P001")]
    assert json.loads(row["params"])["alpha"] == 5.0
    assert (1, "P001") not in result.tuning.set_index(KEYS).index


def test_command_line_reads_the_space_and_the_limits(tmp_path):
    (tmp_path / "space.yaml").write_text("ridge:\n  alpha: [0.5]\n")
    arguments = "train --data sales --group-by country --target units --features price,trend --n-jobs 1 --json"
    arguments += f" --tune {tmp_path / 'space.yaml'} --trials 1 --patience 1 --tune-seconds 60 --budget-seconds 600"
    done = CliRunner().invoke(main, arguments.split())
    assert done.exit_code == 0, done.stderr
    run = mlflow.get_run(json.loads(done.stdout)["run_id"])
    assert run.data.params["train.tune"] == "{'ridge': {'alpha': [0.5]}}"
    assert run.data.params["train.budget_seconds"] == "600.0"


@pytest.mark.parametrize(
    ("options", "message"),
    [("--tune nowhere.yaml", "cannot be read"), ("--tune auto --trials 0", "no number of trials")],
)
def test_command_line_answers_a_wrong_search_with_one_line(options, message):
    arguments = ["train", "--data", "sales", "--group-by", "country", "--target", "units"]
    done = CliRunner().invoke(main, [*arguments, *options.split()])
    assert done.exit_code == 2
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.speed
@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_budget_of_six_seconds_is_kept_within_a_tenth(n_jobs):
    sales = make_store_sales(n_stores=10, n_products=2, n_weeks=104, broken=False)
    train(sales, trials=1, n_jobs=n_jobs)  # processes and libraries are loaded
    started = time.perf_counter()
    result = train(sales, unknown="fallback", prune=False, trials=100_000, patience=0, budget_seconds=6, n_jobs=n_jobs)
    assert 0.8 * 6 < time.perf_counter() - started < 1.1 * 6
    assert (result.tuning["trials"] > 0).any()


def test_groups_that_get_no_time_are_fitted_untuned_and_say_so(sales):
    result = train(sales, trials=100_000, patience=0, budget_seconds=0.01)
    fitted = result.ledger[result.ledger["status"] == "fitted"]
    assert fitted["reason"].str.contains("not_tuned: no time left").all()
    assert (result.tuning["trials"] == 0).all()


def test_children_for_whose_stacking_no_time_is_left_answer_themselves(sales):
    result = train(sales, trials=1, budget_seconds=0.01)
    fitted = result.ledger[result.ledger["status"] == "fitted"]
    assert set(fitted["stack"]) == {"no time left in the budget"}
    answers = metamodel.load_model(result.bundle_path).predict(sales)
    assert (answers["status"] == "child").sum() == sales[KEYS].merge(fitted[KEYS], on=KEYS).shape[0]


def test_groups_above_the_row_limit_are_said_with_a_budget_too():
    sales = make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)
    with pytest.raises(AllGroupsFailed, match="max_group_rows"):
        train(sales, unknown="fallback", prune=False, budget_seconds=60, max_group_rows=1)


@pytest.mark.spark
def test_same_seed_gives_the_same_parameters_on_spark(spark, sales, tmp_path):
    path = str(tmp_path / "sales.parquet")
    sales.astype({"week": "datetime64[us]"}).to_parquet(path, index=False)
    options = {
        "features": FEATURES,
        "time_column": "week",
        "unknown": "fallback",
        "prune": False,
        "tune": SPACE,
        "trials": 4,
    }
    local, on_spark = (
        metamodel.train(path, "store", "units", engine=engine, n_jobs=1, **options) for engine in ("local", "spark")
    )
    assert_same_search(local.tuning, on_spark.tuning)
    assert_same_ledger(local.ledger, on_spark.ledger)


@pytest.mark.spark
def test_groups_that_get_no_time_on_spark_are_fitted_untuned(spark, sales):
    result = train(spark.createDataFrame(sales), engine="spark", budget_seconds=0.01)
    assert (result.tuning["reason"] == "no time left").all()
    assert set(result.ledger["status"]) == {"fitted", "skipped"}
