"""A store's database that is not there yet is made whole, or not at all; the attacks show that it is made once."""

import fcntl
import os
from pathlib import Path

import pytest
from full_disks import no_file_beyond

from metamodel.exceptions import StorageFailed
from metamodel.flavor.remote import new_database
from metamodel.flavor.remote.new_database import make_databases


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where a store is to be; nothing is there, its folder neither."""
    return tmp_path / "stores" / "runs.db"


def test_a_full_disk_is_one_line_and_leaves_nothing(database: Path) -> None:
    with no_file_beyond(50_000), pytest.raises(StorageFailed, match=r"(?s)^A database cannot be used: [^\n]*$"):
        make_databases([f"sqlite:///{database}"])
    assert not list(database.parent.iterdir())


def test_who_waits_too_long_for_another_process_is_told(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_database, "_LONGEST", 0.1)
    database.parent.mkdir()
    held = os.open(database.parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageFailed, match=r"Another process has been making a database in .* for 0\.1 s\. End"):
            make_databases([f"sqlite:///{database}"])
    finally:
        os.close(held)
    assert not database.exists()


@pytest.mark.parametrize("uri", ["sqlite:///:memory:", "sqlite://", "https://tracking.example", "runs"])
def test_other_stores_are_left_alone(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_databases([uri])
    assert not list(tmp_path.iterdir())
