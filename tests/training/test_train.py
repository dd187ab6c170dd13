"""Training: every group as scikit-learn alone would fit it, a ledger row for each, and no trace of what went wrong."""

import json
import os
import subprocess
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import forked_programs
import numpy as np
import pandas as pd
import pytest
from children import Duck, HoldsLock, KillsWorker, RaisesOnMark, Warns
from linear_groups import fit, marked, table
from pandas.testing import assert_frame_equal
from places import SUPPORT
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.bundle.model import MetaModel
from metamodel.exceptions import AllGroupsFailed, InputError
from metamodel.training.engines import array_groups
from metamodel.training.train import train

RNG = np.random.default_rng(0)
NUMBERS = ["housing_median_age", "total_rooms", "population", "households", "median_income"]


def predictions(result, frame):
    answers = MetaModel(result.bundle_path).predict(frame)
    return answers["prediction"].where(answers["status"] == "child").to_numpy()


def by_hand(frame, group_by, features, target, estimator):
    """Fit every group alone with scikit-learn, and predict it in the table's order."""
    predicted = np.full(len(frame), np.nan)
    for rows in frame.reset_index(drop=True).groupby(group_by).indices.values():
        group = frame.iloc[rows]
        predicted[rows] = estimator().fit(group[features], group[target]).predict(group[features])
    return predicted


# --- the same as by hand


def scaled_ridge():
    return make_pipeline(StandardScaler(), Ridge())


def small_boosting():
    return HistGradientBoostingRegressor(max_iter=5, random_state=0)


@pytest.mark.parametrize("estimator", [scaled_ridge, small_boosting, LinearRegression])
def test_five_groups_of_districts_are_predicted_as_by_hand(housing, estimator):
    frame = housing.sample(frac=1, random_state=0)
    result = train(frame, "ocean_proximity", "median_house_value", estimator(), features=NUMBERS, n_jobs=2)
    expected = by_hand(frame, "ocean_proximity", NUMBERS, "median_house_value", estimator)
    assert (
        result.ledger.set_index("ocean_proximity")["rows"].to_dict()
        == frame["ocean_proximity"].value_counts().to_dict()
    )
    np.testing.assert_allclose(predictions(result, frame), expected, rtol=1e-9)


def test_cells_of_one_degree_are_predicted_as_by_hand(housing):
    cells = ["latitude_cell", "longitude_cell"]
    frame = housing.assign(
        latitude_cell=np.floor(housing["latitude"]).astype(int), longitude_cell=np.floor(housing["longitude"])
    )
    result = train(frame, cells, "median_house_value", scaled_ridge(), features=NUMBERS, min_rows=1, n_jobs=2)
    expected = by_hand(frame, cells, NUMBERS, "median_house_value", scaled_ridge)
    assert len(result.ledger) == frame.groupby(cells).ngroups > 40
    np.testing.assert_allclose(predictions(result, frame), expected, rtol=1e-9)


def test_a_name_imputes_and_encodes_what_the_districts_lack(housing):
    features = ["total_bedrooms", "ocean_proximity", "median_income"]
    frame = housing.assign(cell=np.floor(housing["latitude"]).astype(int))
    result = train(frame, "cell", "median_house_value", "ridge", features=features, n_jobs=2)
    answers = MetaModel(result.bundle_path).predict(frame)
    assert (answers["status"].unique().tolist(), answers["prediction"].notna().all()) == (["child"], True)


def test_one_worker_and_two_give_the_same_ledger_and_children(tmp_path):
    frame = marked("g1", frame=table(groups=12))
    one, two = (fit(frame, RaisesOnMark(), n_jobs=n, unknown="fallback", prune=False).ledger for n in (1, 2))
    assert_frame_equal(one.drop(columns=["seconds", "trained_at"]), two.drop(columns=["seconds", "trained_at"]))


def test_row_order_changes_neither_holdout_nor_metrics():
    frame = table()
    one, other = (fit(f).ledger for f in (frame, frame.sample(frac=1, random_state=3)))
    np.testing.assert_allclose(one["holdout_rmse"], other["holdout_rmse"], rtol=1e-9)
    assert one["rows"].tolist() == other["rows"].tolist()


# --- a ledger row for every group


def test_every_fate_of_a_group_is_told():
    frame = marked("g1", frame=table(groups=8))
    group = frame["g"]
    frame.loc[(group == "g2") & (frame.index % 2 == 0), "y"] = np.nan
    frame.loc[group == "g3", "y"] = np.nan
    frame.loc[group == "g4", "y"] = 5.0
    frame.loc[group == "g5", ["a", "b", "y"]] = 1.0
    frame = frame[(group != "g6") | ~group.duplicated()]
    ledger = fit(frame, RaisesOnMark()).ledger.set_index("g")
    assert ledger[["status", "reason"]].agg(" | ".join, axis=1).to_dict() == {
        "g0": "fitted | ",
        "g1": "failed | error",
        "g2": "fitted | target_missing: 15 rows left out",
        "g3": "skipped | min_rows: 0 usable rows, 2 needed; target_missing: 30 rows left out",
        "g4": "fitted | constant_target",
        "g5": "skipped | min_rows: 1 usable row, 2 needed; duplicates: 29 rows left out",
        "g6": "skipped | min_rows: 1 usable row, 2 needed",
        "g7": "fitted | ",
    }
    assert ledger.loc["g1", "error"] == "ValueError: this group is marked"


def test_a_child_that_cannot_be_stored_fails_alone():
    result = fit(marked("g1"), HoldsLock())
    ledger = result.ledger.set_index("g")
    assert ledger["status"].to_dict() == {"g0": "fitted", "g1": "failed", "g2": "fitted", "g3": "fitted"}
    assert (ledger.loc["g1", "reason"], "lock" in ledger.loc["g1", "error"]) == ("not_serializable", True)


def test_a_single_class_is_a_failed_group_and_the_labels_of_others_come_back():
    frame = table().assign(y=lambda t: np.where((t["a"] > 0) & (t["g"] != "g1"), "yes", "no"))
    result = fit(frame, LogisticRegression())
    assert result.ledger.set_index("g").loc["g1", ["status", "reason"]].tolist() == [
        "failed",
        "single_class: 'no'; error",
    ]
    answers = MetaModel(result.bundle_path).predict(frame)
    others = frame["g"] != "g1"
    assert (answers["prediction"][others] == frame["y"][others]).mean() > 0.9


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_warnings_of_children_are_in_the_ledger_and_nowhere_else(n_jobs, recwarn):
    warnings.simplefilter("always")
    ledger = fit(table(), Warns(), n_jobs=n_jobs).ledger
    assert set(ledger["warnings"]) == {"RuntimeWarning: 'the matrix is nearly singular'"}
    assert not [w for w in recwarn if "singular" in str(w.message)]


def test_each_group_chooses_its_own_candidate():
    frame = table(groups=2, rows=200)
    noise = frame["g"] == "g1"
    frame.loc[noise, "y"] = RNG.permutation(frame.loc[noise, "y"].to_numpy())
    candidates = {"line": LinearRegression(), "mean": DummyRegressor()}
    result = fit(frame, candidates, holdout=0.5)
    chosen = dict(zip(result.ledger["g"], result.ledger["estimator"], strict=True))
    expected = {}
    for g, group in frame.groupby("g"):
        scores = {name: fit(group, one, holdout=0.5).ledger["holdout_rmse"][0] for name, one in candidates.items()}
        expected[g] = type(candidates[min(scores, key=scores.get)]).__name__
    assert chosen == expected
    assert chosen["g0"] == "LinearRegression"


def test_the_latest_rows_are_held_back_by_a_time_column():
    frame = table().assign(t=lambda t: t.groupby("g").cumcount())
    result = fit(frame, time_column="t", holdout=0.2)
    held = frame[frame["t"] >= 24]
    assert sorted(result.holdout["actual"]) == sorted(held["y"])


def test_an_estimator_that_only_follows_scikit_learn_is_enough():
    frame = table()
    expected = frame.groupby("g")["y"].transform("mean")
    np.testing.assert_allclose(predictions(fit(frame, Duck()), frame), expected)


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_text_keys_are_the_same_whatever_their_dtype(dtype):
    frame = table().astype({"g": dtype})
    assert fit(frame).ledger["g"].tolist() == ["g0", "g1", "g2", "g3"]


def test_keys_of_every_kind_and_content_go_through_ledger_and_shards():
    names = ["a/b", "..", "🦉", "line\nbreak", 'say "hi"', "x" * 10_000, "", "NaN"]
    frame = table(groups=len(names)).assign(g=lambda t: [names[int(g[1:])] for g in t["g"]])
    frame["day"] = pd.Timestamp("2026-01-31 12:00:00.000000001", tz="UTC")
    frame["flag"] = pd.array([True] * len(frame), dtype="boolean")
    result = fit(frame, group_by=["g", "day", "flag"], features=["a", "b"])
    assert sorted(result.ledger["g"]) == sorted(names)
    assert_frame_equal(MetaModel(result.bundle_path).ledger, result.ledger, check_dtype=False)
    assert np.isfinite(predictions(result, frame)).all()


# --- what is left behind


def test_an_empty_directory_and_missing_parents_are_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert fit(table(), output_dir="out").bundle_path == tmp_path / "out"
    assert fit(table(), output_dir="deep/er/out").bundle_path == tmp_path / "deep" / "er" / "out"


@pytest.mark.slow
def test_without_an_output_directory_the_bundle_goes_with_the_process():
    program = "from linear_groups import fit, table; path = fit(table()).bundle_path; print(path.parent, path.is_dir())"
    folder, was_there = run_here(program).stdout.split()
    assert (was_there, os.path.exists(folder)) == ("True", False)


# --- several processes, and killed ones


def run_here(program):
    quiet = f"import warnings; warnings.simplefilter('ignore')\n{program}"
    done = forked_programs.run("-c", quiet, cwd=SUPPORT)
    done.check_returncode()
    return done


@pytest.mark.slow
@pytest.mark.tableless
def test_a_second_process_is_told_that_the_directory_is_taken(tmp_path):
    class Waits(LinearRegression):
        def fit(self, X, y):
            if not inside.is_set():
                inside.set()
                release.wait(280)
            return super().fit(X, y)

        def __sklearn_clone__(self):
            return self

        def __reduce__(self):
            return LinearRegression, ()

    inside, release = threading.Event(), threading.Event()
    first = threading.Thread(target=lambda: fit(table(), Waits(), output_dir=tmp_path / "out"))
    first.start()
    inside.wait(120)
    program = f"""
from linear_groups import fit, table
try:
    fit(table(), output_dir={str(tmp_path / "out")!r})
except Exception as error:
    print(type(error).__name__, error)
"""
    said = run_here(program).stdout
    release.set()
    first.join()
    assert "InputError Another process is writing" in said
    assert "Wait for it to end, or name another output directory." in said
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
@pytest.mark.tableless
def test_two_processes_that_write_one_directory_leave_one_whole_bundle(tmp_path):
    program = f"""
from linear_groups import fit, table
from metamodel.exceptions import InputError
for _ in range(5):
    try:
        fit(table(groups=20), output_dir={str(tmp_path / "out")!r})
    except InputError as error:
        assert "Another process is writing" in str(error)
"""
    with ThreadPoolExecutor(2) as processes:
        both = list(processes.map(run_here, [program] * 2))
    assert [(done.stderr, done.returncode) for done in both] == [("", 0)] * 2
    model = MetaModel(tmp_path / "out")
    assert (model.bundle.damaged_files(), len(model.ledger)) == ([], 20)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
@pytest.mark.tableless
def test_the_same_call_goes_on_where_a_killed_process_was(tmp_path):
    frame = marked("g5", frame=table(groups=40))
    frame.to_parquet(tmp_path / "table.parquet")
    out, flag = tmp_path / "bundles" / "out", tmp_path / "killed"
    program = f"""
import pandas as pd
from children import KillsWorker
from linear_groups import fit
fit(pd.read_parquet({str(tmp_path / "table.parquet")!r}), KillsWorker({str(flag)!r}), output_dir={str(out)!r})
"""
    with pytest.raises(subprocess.CalledProcessError, match="exit status 1"):
        run_here(program)
    done = {path.name: path.stat().st_mtime_ns for path in out.parent.rglob("*.json")}
    assert (flag.exists(), out.exists(), len(done) > 0) == (True, False, True)
    done = [json.loads(path.read_text()) for path in out.parent.rglob("*.json")]
    seconds = [row[part["columns"].index("seconds")] for part in done for row in part["rows"]]
    run_here(program)
    model = MetaModel(out)
    assert (model.ledger["status"].tolist(), model.bundle.damaged_files()) == (["fitted"] * 40, [])
    assert set(seconds) <= set(model.ledger["seconds"])  # what was done was not done again
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.slow
@pytest.mark.tableless
def test_a_group_that_kills_its_worker_is_a_failed_row_and_every_other_group_is_fitted():
    killers = ["g0", "g5"]
    frame = marked(*killers, frame=table(groups=24))
    ledger = fit(frame, KillsWorker(), n_jobs=2).ledger.set_index("g")
    assert sorted(ledger.index[ledger["reason"] == "worker_died"]) == killers
    assert ledger["status"].value_counts().to_dict() == {"fitted": 24 - len(killers), "failed": len(killers)}
    assert ledger.loc[killers[0], "error"].startswith("WorkerDied: the process that fitted this group was killed")


@pytest.mark.slow
@pytest.mark.tableless
def test_a_worker_that_is_killed_once_costs_nothing(tmp_path):
    frame = marked("g2", frame=table(groups=24))
    ledger = fit(frame, KillsWorker(str(tmp_path / "killed")), n_jobs=2).ledger
    assert (ledger["status"].unique().tolist(), (tmp_path / "killed").exists()) == (["fitted"], True)


# --- input


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_path_is_as_good_as_a_table(tmp_path, name):
    frame = table()
    frame.to_csv(tmp_path / name, index=False) if name == "t.csv" else frame.to_parquet(tmp_path / name)
    result = fit(str(tmp_path / name))
    assert result.source == str(tmp_path / name)
    np.testing.assert_allclose(predictions(result, frame), predictions(fit(frame), frame))


@pytest.mark.parametrize("data", [None, 7, [1, 2], {"a": 1}], ids=repr)
def test_what_is_no_table_is_refused(data):
    with pytest.raises(
        InputError, match=r"data is a \w+. Give a DataFrame \(of pandas, polars, Arrow \.\.\.\), a path, or the"
    ):
        fit(data)


def test_the_given_table_is_not_changed():
    frame = table().assign(g=lambda t: t["g"].astype("category"))
    before = frame.copy(deep=True)
    fit(frame, make_pipeline(StandardScaler(copy=False), Ridge()))
    assert_frame_equal(frame, before)


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match=r"engine='slurm' is unknown. Use one of: local"):
        fit(table(), engine="slurm")


def test_skops_refuses_a_foreign_child_by_name():
    with pytest.raises(AllGroupsFailed, match=r"4 groups: ForbiddenCodec: skops does not trust the type children.Duck"):
        fit(table(), Duck(), codec="skops")


@pytest.mark.slow
@pytest.mark.tableless
def test_linear_children_are_the_same_in_one_process_in_two_and_fitted_one_by_one(tmp_path, monkeypatch):
    frame = table(groups=320, rows=12)
    ledgers, stacks = {}, {}
    for way, n_jobs in (("arrays", 1), ("processes", 2), ("one by one", 1)):
        if way == "processes":
            monkeypatch.setattr(array_groups, "_START_SECONDS", 0)
        if way == "one by one":
            monkeypatch.setattr(array_groups, "program_of", lambda spec: None)
        result = fit(frame, Ridge(), n_jobs=n_jobs, output_dir=tmp_path / way)
        ledgers[way] = result.ledger.drop(columns=["seconds", "trained_at"])
        files = (path for path in (tmp_path / way / "stacks").rglob("*") if path.is_file())
        stacks[way] = {path.name: path.read_bytes() for path in files}
    for way in ("processes", "one by one"):
        pd.testing.assert_frame_equal(ledgers["arrays"], ledgers[way], check_exact=True)
    # With other processes the children lie in another order.
    assert stacks["arrays"] == stacks["one by one"]
    assert len(stacks["arrays"]) > 0
