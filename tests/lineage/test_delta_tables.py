"""A history in Delta tables: commits, conflicts, SQL."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from histories import generations

from metamodel.exceptions import InputError
from metamodel.lineage.generation import Generation
from metamodel.lineage.history_store import HistoryStore

deltalake = pytest.importorskip("deltalake")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Generation]:
    return generations(tmp_path_factory.mktemp("bundles"))


def test_sql_sees_one_model_and_cannot_write(three, tmp_path):
    pytest.importorskip("deltalake")
    store = HistoryStore(tmp_path)
    store.write_generation(three[0])
    store.write_generation(replace(three[0], model="other"))
    counted = store.query("SELECT count(*) AS n FROM lineage", "sales")
    assert counted["n"].tolist() == [len(three[0].ledger)]
    with pytest.raises(InputError, match="cannot be answered"):
        store.query("SELECT nothing FROM lineage", "sales")
    with pytest.raises(InputError, match="cannot be answered"):
        store.query("INSERT INTO lineage SELECT * FROM lineage", "sales")


def test_a_generation_is_one_commit_a_table(three, tmp_path):
    store = HistoryStore(tmp_path)
    for generation in three:
        store.write_generation(generation)
    versions = {name: deltalake.DeltaTable(tmp_path / name).version() for name in ("children", "lineage", "versions")}
    assert versions == dict.fromkeys(versions, 3)


def test_a_folder_may_be_named_by_its_uri(three, tmp_path):
    HistoryStore((tmp_path / "history").as_uri()).write_generation(three[0])
    assert deltalake.DeltaTable(tmp_path / "history" / "versions").version() == 1


def test_a_folder_that_another_writer_has_just_begun_is_one_of_delta_tables(three, tmp_path):
    (tmp_path / "children").mkdir()
    HistoryStore(tmp_path).write_generation(three[0])
    assert deltalake.DeltaTable(tmp_path / "children").version() == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not tell what is open")
def test_what_is_asked_again_leaves_nothing_open(three, tmp_path):
    """Ten descriptors are deltalake's own: of threads, which a process makes once."""
    HistoryStore(tmp_path).write_generation(three[0])

    def ask() -> int:
        store = HistoryStore(tmp_path)
        store.query("SELECT count(*) AS n FROM lineage", "sales")
        store.write_generation(three[0])
        return len(os.listdir("/proc/self/fd"))

    first = max(ask() for _ in range(3))
    assert max(ask() for _ in range(10)) <= first
