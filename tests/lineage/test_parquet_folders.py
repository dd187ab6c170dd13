"""A history in folders of Parquet, for who has no deltalake."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow.dataset as ds
import pytest
from filelock import FileLock
from histories import everything, generations

from metamodel.exceptions import StorageFailed
from metamodel.lineage import history_store, parquet_folders
from metamodel.lineage.generation import Generation
from metamodel.lineage.history_store import HistoryStore


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Generation]:
    return generations(tmp_path_factory.mktemp("bundles"))


def event_of(id_: str) -> dict[str, object]:
    return {"model": "sales", "id": id_, "time": "2026-11-02", "kind": "promote", "version": 1}


def test_parquet_folders_stay_what_they_are_where_deltalake_is_installed(three, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(history_store, "find_spec", lambda name: None)
        HistoryStore(tmp_path).write_generation(three[0])
    HistoryStore(tmp_path).write_generation(three[1])
    assert not list(tmp_path.rglob("_delta_log"))
    assert everything(HistoryStore(tmp_path))["versions"]["version"].tolist() == [1, 2]


def test_any_engine_reads_the_folders(three, tmp_path, monkeypatch):
    monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    HistoryStore(tmp_path).write_generation(three[0])
    table = ds.dataset(tmp_path / "lineage", partitioning="hive").to_table()
    assert set(table["model"].to_pylist()) == {"sales"}
    assert sorted(table["sha256"].to_pylist()) == sorted(three[0].ledger["sha256"])


def test_what_a_killed_writer_left_is_not_read(three, tmp_path, monkeypatch):
    monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    store = HistoryStore(tmp_path)
    store.write_generation(three[0])
    folder = next((tmp_path / "lineage").rglob("*.parquet")).parent
    (folder / ".rows.parquet.unfinished-1").write_bytes(b"PAR1")
    assert len(everything(store)["lineage"]) == len(three[0].ledger)


def test_writers_of_events_wait_for_each_other_and_keep_them_in_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    ids = [f"id{i:02}" for i in range(24)]

    def write(id_: str) -> None:
        HistoryStore(tmp_path).append_event(event_of(id_))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [*ids, *ids]))
    assert everything(HistoryStore(tmp_path))["events"]["id"].tolist() == ids
    assert len([*(tmp_path / "events").rglob("*.parquet")]) == 1


def test_a_lock_that_is_held_for_ever_is_one_line_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    monkeypatch.setattr(parquet_folders, "_LONGEST_WAIT", 0.2)
    store = HistoryStore(tmp_path)
    store.append_event(event_of("id1"))
    (file,) = (tmp_path / "events").rglob("*.parquet")
    before = file.read_bytes()
    with (
        FileLock(file.with_name(".writer.lock")),
        pytest.raises(StorageFailed, match=r"has been written by another process for 0\.2 s\. Let it end"),
    ):
        store.append_event(event_of("id2"))
    assert file.read_bytes() == before
    store.append_event(event_of("id2"))
    assert len(everything(store)["events"]) == 2


def test_a_link_in_place_of_a_lock_is_one_line_and_what_it_leads_to_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(history_store, "find_spec", lambda name: None)
    store = HistoryStore(tmp_path / "history")
    store.append_event(event_of("id1"))
    (file,) = (tmp_path / "history" / "events").rglob("*.parquet")
    lock = file.with_name(".writer.lock")
    lock.unlink(missing_ok=True)
    (tmp_path / "target").write_text("somebody's")
    lock.symlink_to(tmp_path / "target")
    with pytest.raises(StorageFailed, match="cannot be used: Too many levels of symbolic links"):
        store.append_event(event_of("id2"))
    assert (tmp_path / "target").read_text() == "somebody's"
