"""A model's history against a real `mlflow server`: written as versions come, made again from the registry, asked."""

import itertools
import json
import os
import signal

import pandas as pd
import pytest
from click.testing import CliRunner
from histories import WEEKS, everything
from mlflow import MlflowClient
from servers import Server

import metamodel
from metamodel.cli import main
from metamodel.exceptions import InputError
from metamodel.lineage.history_store import HistoryStore

pytest.importorskip("deltalake")

OPTIONS = {"features": ["price"], "n_jobs": 1, "unknown": "fallback", "prune": False, "pooled": False}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def told(tracking: Server, tmp_path_factory: pytest.TempPathFactory):
    """Three versions, the last made by a group's rollback, with promotions between; its name and its history."""
    place, name = tmp_path_factory.mktemp("told") / "history", "told"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.url)
        patch.setenv("METAMODEL_HISTORY", str(place))
        old = WEEKS[WEEKS["week"] < WEEKS["week"].max()]
        first = metamodel.train(old[old["store"] == 1], ["store", "product"], "units", time_column="week", **OPTIONS)
        metamodel.log_model(first, registered_model_name=name, report=False)
        metamodel.promote(name, 1, approved_by="ann", note="week 1")
        second = metamodel.update(first.bundle_path, WEEKS, retrain="all", challenge=False)
        metamodel.log_model(second, registered_model_name=name, report=False)
        metamodel.promote(name, 2)
        metamodel.rollback(name, 1, group=(1, "P001"))
        yield name, place


def test_the_registry_makes_the_same_rows_again(told, tmp_path):
    name, place = told
    metamodel.history(name, rebuild=True, history=tmp_path / "again")
    written, again = everything(HistoryStore(place)), everything(HistoryStore(tmp_path / "again"))
    assert {table: len(rows) > 0 for table, rows in written.items()} == {
        **dict.fromkeys(["versions", "lineage", "children", "events"], True),
        "monitor": False,
    }
    for table, rows in written.items():
        pd.testing.assert_frame_equal(again[table], rows)


def test_rebuilding_in_place_changes_nothing(told):
    name, place = told
    before = everything(HistoryStore(place))
    metamodel.history(name, rebuild=True, history=place)
    for table, rows in everything(HistoryStore(place)).items():
        pd.testing.assert_frame_equal(rows, before[table])


def test_a_groups_child_is_followed_through_the_versions(told):
    name, place = told
    past = metamodel.history(name, group=(1, "P001"), history=place)
    assert past["version"].tolist() == [1, 2, 3]
    assert past["child_version"].tolist() == [1, 2, 1]
    assert past["sha256"].iloc[0] == past["sha256"].iloc[2] != past["sha256"].iloc[1]
    assert past["retrain_reason"].tolist() == ["", "all", "rollback: version 1"]
    assert past["rows"].tolist() == [23, 24, 23]
    assert past["data_digest"].nunique() == 2
    assert past["holdout_rmse"].iloc[0] == past["holdout_rmse"].iloc[2]


def test_versions_say_who_promoted_them(told):
    name, place = told
    table = metamodel.history(name, history=place)
    assert table["groups"].tolist() == [2, 4, 4]
    assert table["carried"].tolist() == [0, 0, 4]
    assert all("champion" in promoted for promoted in table["promoted"])


def test_the_child_that_answers_now_is_explained(told):
    name, place = told
    explanation = metamodel.explain(f"models:/{name}", "1,P001", history=place)
    row = explanation.answered.iloc[-1]
    assert (row["version"], row["child_version"], row["status"]) == (3, 1, "carried")
    assert row["answered_by"] == '[1,"P001"]'
    assert any("weeks old" in reason for reason in explanation.reasons)


def test_an_explanation_names_who_approved_the_version_that_answered_at_a_moment(told):
    name, place = told
    events = metamodel.history(name, sql='SELECT "time" FROM events ORDER BY "time"', history=place)["time"]
    between = pd.Timestamp(events[0]) + (pd.Timestamp(events[1]) - pd.Timestamp(events[0])) / 2
    explanation = metamodel.explain(f"models:/{name}@champion", (1, "P001"), between, history=place)
    assert explanation.answered["version"].tolist() == [1]
    assert "approved by ann: week 1" in str(explanation)
    assert any("Version 2 has another child (all)" in reason for reason in explanation.reasons)


def test_a_whole_day_names_every_version_that_answered_on_it(told):
    name, place = told
    events = metamodel.history(name, sql='SELECT "time" FROM events ORDER BY "time"', history=place)["time"]
    days = {time[:10] for time in events}
    answered = [metamodel.explain(f"models:/{name}", (1, "P001"), day, history=place).answered for day in days]
    assert {version for table in answered for version in table["version"]} == {1, 2, 3}


def test_before_its_first_promotion_nobody_answered(told):
    name, place = told
    with pytest.raises(InputError, match=rf"pointed at no version then: .* \(models:/{name}/1\)"):
        metamodel.explain(f"models:/{name}", (1, "P001"), "2020-01-01", history=place)


def test_a_version_that_was_made_later_did_not_answer_whoever_set_the_alias(told, tmp_path):
    name = f"set-otherwise-{next(_numbers)}"
    options = {**OPTIONS, "time_column": "week"}
    result = metamodel.train(WEEKS, ["store", "product"], "units", **options)
    metamodel.log_model(result, registered_model_name=name, report=False, history=tmp_path)
    MlflowClient().set_registered_model_alias(name, "champion", "1")
    assert metamodel.explain(f"models:/{name}", (1, "P001"), history=tmp_path).answered["version"].tolist() == [1]
    with pytest.raises(InputError, match="no version then that is known: version 1, the first, was made at 20"):
        metamodel.explain(f"models:/{name}", (1, "P001"), "2020-01-01", history=tmp_path)


def test_a_group_that_a_version_did_not_know_was_answered_by_its_parent(told):
    name, place = told
    explanation = metamodel.explain(f"models:/{name}/1", (2, "P001"), history=place)
    assert explanation.answered["answered_by"].tolist() == ["[]"]
    assert any("its parent answered (all groups)" in reason for reason in explanation.reasons)


def test_commands_answer(told):
    name, place = told
    run = CliRunner()
    asked = run.invoke(
        main, ["explain", f"models:/{name}", "--group", '[1, "P001"]', "--history", str(place), "--json"]
    )
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["answered"][-1]["version"] == 3
    counted = run.invoke(main, ["history", name, "--sql", "SELECT count(*) AS n FROM lineage", "--history", str(place)])
    assert counted.exit_code == 0, counted.output
    assert counted.stdout.split() == ["n", str(len(everything(HistoryStore(place))["lineage"]))]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["history", "told", "--group", "9,P001"], "knows group"),
        (["history", "told", "--group", "1,P001", "--sql", "SELECT 1"], "two questions"),
        (["history", "no-such-model"], "holds no version of 'no-such-model'"),
        (["explain", "runs:/x", "--group", "1,P001"], "names no registered model"),
        (["explain", "models:/told", "--group", "1,P001", "--on", "tomorrow-ish"], "is no day and no time"),
        (["explain", "models:/told", "--group", "1,2,3"], "group"),
    ],
)
def test_bad_questions_are_one_line(told, words, match):
    result = CliRunner().invoke(main, [*words, "--history", str(told[1])])
    assert result.exit_code == 2
    assert match in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_history_that_cannot_be_written_takes_nothing_away_from_the_version(told, tmp_path, monkeypatch, capsys):
    result = metamodel.train(WEEKS, ["store", "product"], "units", **OPTIONS)
    place, name = tmp_path / "history", f"unwritten-{next(_numbers)}"

    def full(*_):
        raise OSError(28, "No space left on device", "rows.parquet")

    with monkeypatch.context() as patch:
        patch.setattr(HistoryStore, "write_generation", full)
        info = metamodel.log_model(result, registered_model_name=name, report=False, history=place)
    said = capsys.readouterr().err
    assert info.registered_model_version == 1
    assert f"Version 1 of {name} is registered, but missing in the history" in said
    assert f"metamodel history {name} --rebuild --history {place}" in said
    assert metamodel.history(name, rebuild=True, history=place)["version"].tolist() == [1]


def test_a_folder_that_is_none_is_told_before_anything_is_logged(told, tmp_path):
    (tmp_path / "sales.csv").write_text("a")
    result = metamodel.train(WEEKS, ["store", "product"], "units", **OPTIONS)
    before = len(MlflowClient().search_registered_models())
    with pytest.raises(InputError, match="is no history"):
        metamodel.log_model(result, registered_model_name="never", report=False, history=tmp_path)
    assert len(MlflowClient().search_registered_models()) == before


def test_a_promoter_killed_before_the_history_knows_is_made_good_by_the_same_call(told, tmp_path, monkeypatch):
    client, name = MlflowClient(), f"killed-{next(_numbers)}"
    client.create_registered_model(name)
    client.create_model_version(name, "s3://models/nowhere")
    store = HistoryStore(tmp_path / "history")
    child = os.fork()
    if not child:
        HistoryStore.append_event = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        metamodel.promote(name, 1, history=store.place)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert everything(store)["events"].empty
    for _ in range(2):
        metamodel.promote(name, 1, history=store.place)
    assert everything(store)["events"]["version"].tolist() == [1]


def test_versions_that_metamodel_did_not_log_are_left_out_and_named(told, tmp_path, capsys):
    client, name = MlflowClient(), f"foreign-{next(_numbers)}"
    client.create_registered_model(name)
    client.create_model_version(name, "s3://models/nowhere")
    with pytest.raises(InputError, match="holds no version"):
        metamodel.history(name, rebuild=True, history=tmp_path / "history")
    assert f"Version 1 of {name} is left out of the history" in capsys.readouterr().err
