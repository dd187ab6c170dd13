"""What is written into a history is there once, whoever writes it, how often, and whatever happens meanwhile."""

import itertools
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pytest
from histories import KINDS, everything, generations
from ready_processes import ready_processes

from metamodel.exceptions import InputError, StorageFailed
from metamodel.lineage import history_store
from metamodel.lineage.generation import Generation
from metamodel.lineage.group_past import group_past, versions_of
from metamodel.lineage.history_store import HistoryStore, append_monitor
from metamodel.lineage.table_schemas import CHILDREN, LINEAGE, VERSIONS


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Generation]:
    return generations(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HistoryStore:
    if request.param == "delta":
        pytest.importorskip("deltalake")
    else:
        monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    return HistoryStore(tmp_path / "history")


def event(number: int) -> dict:
    facts = {"model": "sales", "id": f"id{number}", "time": f"2026-11-{number:02}", "kind": "promote"}
    return {**facts, "alias": "champion", "version": number, "replaced": None, "done_by": "ann"}


def test_every_group_of_every_version_is_in_lineage_and_every_child_once(store, three):
    for generation in three:
        store.write_generation(generation)
    tables = everything(store)
    assert len(tables["lineage"]) == sum(len(generation.ledger) for generation in three)
    for generation in three:
        rows = tables["lineage"].query(f"version == {generation.version}")
        assert sorted(rows["sha256"]) == sorted(generation.ledger["sha256"])
    children = tables["children"]
    with_child = [generation.ledger.query("sha256 != ''") for generation in three]
    fitted = sum(len(ledger.query("status == 'fitted'")) for ledger in with_child)
    assert len(children) == fitted < sum(map(len, with_child))
    assert not children.duplicated(["key", "version"]).any()


def test_a_child_says_what_it_was_trained_on_and_how_good_it_is(store, three):
    store.write_generation(three[0])
    row = everything(store)["children"].set_index("key").loc['[1,"P001"]']
    ledger = three[0].ledger.query("store == 1 and product == 'P001'").iloc[0]
    for name in ("rows", "holdout_rmse", "baseline_rmse", "data_through", "estimator", "trained_at", "sha256"):
        assert row[name] == ledger[name]
    assert (row["run_id"], row["data_digest"], row["data_version"]) == ("run-1", "digest-1", 7)
    assert pd.isna(row["holdout_accuracy"])


def test_writing_a_version_again_changes_nothing(store, three):
    for generation in three:
        store.write_generation(generation)
    before = everything(store)
    for generation in reversed(three):
        store.write_generation(generation)
    for name, table in everything(store).items():
        pd.testing.assert_frame_equal(table, before[name])


def test_a_carried_child_is_written_where_the_history_begins_after_it(store, three):
    store.write_generation(three[1])
    children = everything(store)["children"]
    assert set(children["sha256"]) == set(three[1].ledger["sha256"]) - {""}


def test_models_do_not_get_into_each_others_rows(store, three):
    odd = replace(three[0], model="o'brien & söhne = 100 %")
    for generation in (three[0], odd):
        store.write_generation(generation)
    before = everything(store)
    store.write_generation(odd)
    tables = everything(store)
    assert tables["versions"]["model"].tolist() == sorted([odd.model, "sales"])
    for name in ("lineage", "children"):
        assert tables[name]["model"].value_counts().to_dict() == before[name]["model"].value_counts().to_dict()


def test_an_event_is_kept_once(store):
    for number in (1, 2, 1, 2, 2):
        store.append_event(event(number))
    events = everything(store)["events"]
    assert events["id"].tolist() == ["id1", "id2"]
    assert events["version"].tolist() == [1, 2]
    assert events["replaced"].isna().all()


def _append(place: str, numbers: range) -> None:
    for number in numbers:
        HistoryStore(place).append_event(event(number))


@pytest.mark.slow
def test_events_of_writers_at_once_are_neither_lost_nor_doubled(store):
    store.append_event(event(1))
    processes = [ready_processes().Process(target=_append, args=(store.place, range(1, 9))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(250)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert everything(store)["events"]["id"].tolist() == [f"id{number}" for number in range(1, 9)]


def _write(place: str, generations: list[Generation]) -> None:
    for generation in generations:
        HistoryStore(place).write_generation(generation)


@pytest.mark.slow
def test_versions_of_writers_at_once_are_neither_lost_nor_doubled(store, three, tmp_path):
    whole = HistoryStore(tmp_path / "other")
    for generation in three:
        store.write_generation(three[0])
        whole.write_generation(generation)
    both = [[three[1], three[2]], [three[1], three[2]]]
    processes = [ready_processes().Process(target=_write, args=(store.place, part)) for part in both]
    for process in processes:
        process.start()
    for process in processes:
        process.join(250)
    assert [process.exitcode for process in processes] == [0, 0]
    for name, table in everything(store).items():
        pd.testing.assert_frame_equal(table, everything(whole)[name])


def _die(place: str, generation: Generation, step: int) -> None:
    store = HistoryStore(place)
    writes, steps = {name: getattr(store._tables, name) for name in ("replace", "put_row")}, itertools.count(1)

    def dying(name, *args):
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        writes[name](*args)

    for name in writes:
        setattr(store._tables, name, partial(dying, name))
    store.write_generation(generation)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_version_whose_writer_was_killed_does_not_count_until_it_is_written_again(store, three, step, tmp_path):
    store.write_generation(three[0])
    process = ready_processes().Process(target=_die, args=(store.place, three[1], step))
    process.start()
    process.join(250)
    assert process.exitcode == -signal.SIGKILL
    assert everything(store)["versions"]["version"].tolist() == [1]
    _write(store.place, [three[1]])
    whole = HistoryStore(tmp_path / "other")
    _write(whole.place, three[:2])
    for name, table in everything(store).items():
        pd.testing.assert_frame_equal(table, everything(whole)[name])


@pytest.mark.parametrize("written", ["children", "lineage"])
def test_children_that_a_killed_writer_left_are_written_again_with_the_next_version(
    store, three, written, monkeypatch, tmp_path
):
    """Also where nobody mends the version that they were left in."""
    replace_rows = store._tables.replace

    def killed(table, *rest):
        replace_rows(table, *rest)
        if table.name == written:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store._tables, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.write_generation(three[0])
    store.write_generation(three[1])
    past = group_past(store, versions_of(store, "sales"), [(1, "P001")])
    assert past[["version", "child_version"]].values.tolist() == [[2, 2]]


def test_a_window_of_monitoring_takes_the_place_of_itself(store):
    groups = pd.DataFrame(
        {
            **{"key": ['["FR",7]', '["FR"]'], "level": [2, 1], "status": ["drift", "ok"]},
            **{"answered_by": ["child", "global"], "rows": [30, 90]},
            **{"labelled": [0, 90], "labelled_share": [0.0, 1.0], "p_drift": [0.001, None], "p_performance": None},
            **{"error_effect": None, "coverage": [float("nan"), 0.9], "columns": ["price", ""]},
        }
    )
    for _ in range(2):
        assert append_monitor(groups, model="sales", version=3, window="2026-W45", history=store.place)
    assert append_monitor(groups, model="sales", version=None, window="2026-W46", history=store.place)
    rows = everything(store)["monitor"]
    assert rows["window"].tolist() == ["2026-W45"] * 2 + ["2026-W46"] * 2
    assert rows["p_drift"].notna().sum() == 2
    assert sorted(rows["answered_by"]) == ["child", "child", "global", "global"]


def test_monitoring_without_a_history_writes_none(monkeypatch):
    monkeypatch.delenv("METAMODEL_HISTORY", raising=False)
    assert not append_monitor(pd.DataFrame(), model="sales", version=1, window="w")


def test_a_file_is_no_history(tmp_path):
    (tmp_path / "history").write_text("no")
    with pytest.raises(InputError, match=r"is a file\. Give a folder"):
        HistoryStore(tmp_path / "history")


def test_a_folder_with_something_else_is_no_history(tmp_path):
    (tmp_path / "sales.csv").write_text("a,b")
    with pytest.raises(InputError, match=r"is no history: it holds sales\.csv"):
        HistoryStore(tmp_path)


def test_a_place_that_cannot_be_written_is_told_before_there_is_anything_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    store = HistoryStore(tmp_path / "file" / "history")
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        store.check_writable()


def test_a_place_that_fails_while_it_is_written_is_one_line(store, three, tmp_path):
    (tmp_path / "history").write_text("in the way")
    with pytest.raises((StorageFailed, InputError), match=r"^[^\n]+$"):
        store.write_generation(three[0])


def test_without_a_history_a_question_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.delenv("METAMODEL_HISTORY", raising=False)
    with pytest.raises(InputError, match="Give --history DIR, or set METAMODEL_HISTORY"):
        HistoryStore.needed()
    with pytest.raises(InputError, match="There is no history at"):
        HistoryStore.needed(tmp_path / "none")


def test_a_question_about_a_group_reads_little(store, three):
    for generation in three:
        store.write_generation(generation)
    of_group = ds.field("key") == '[1,"P001"]'
    assert store.read(LINEAGE, ["version"], of_group).num_rows == 3
    assert sorted(store.read(CHILDREN, ["version"], of_group)["version"].to_pylist()) == [1, 3]
    assert store.read(VERSIONS, ["groups"], ds.field("version") == 2)["groups"].to_pylist() == [4]


@pytest.mark.parametrize("place", ["s4://lake/history", "http://127.0.0.1/history", "s3:///history", "models:/sales/1"])
def test_an_address_that_is_no_place_in_an_object_store_is_refused(place):
    with pytest.raises(InputError, match="no place in an object store that can hold one"):
        HistoryStore(place)
