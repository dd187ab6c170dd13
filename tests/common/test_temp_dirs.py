"""Directories of a process: gone when it ends, and swept by the next one where it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from metamodel.common import temp_dirs
from metamodel.common.temp_dirs import OwnedDirectory, plainly_named, sweep

pytestmark = pytest.mark.tableless


def test_a_directory_is_there_until_it_is_closed(tmp_path: Path) -> None:
    owned = OwnedDirectory(tmp_path, "x-")
    assert owned.path.is_dir()
    owned.close()
    assert list(tmp_path.iterdir()) == []


def test_sweeping_leaves_what_has_an_owner(tmp_path: Path) -> None:
    owned = OwnedDirectory(tmp_path, "x-")
    sweep(tmp_path, "x-")
    assert owned.path.is_dir()
    owned.close()


def test_the_lock_of_a_living_process_is_tried_once_and_what_is_new_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, alive = [], set[Path]()
    monkeypatch.setattr(temp_dirs, "FileLock", lambda path, **options: tried.append(path) or FileLock(path, **options))
    living = OwnedDirectory(tmp_path, "x-")
    tried.clear()
    for number in range(3):
        (tmp_path / f"x-left-{number}.lock").touch()
        sweep(tmp_path, "x-", alive=alive)
        assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".lock"]
    assert len(tried) == 4
    assert alive == {Path(f"{living.path}.lock")}
    living.close()


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from metamodel.common.temp_dirs import OwnedDirectory\n"
        "print(OwnedDirectory(Path(sys.argv[1]), 'x-').path, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL
    assert Path(run.stdout.strip()).is_dir()
    sweep(tmp_path, "x-")
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_takes_nothing_away(tmp_path: Path) -> None:
    owned = OwnedDirectory(tmp_path, "x-")
    owned._pid += 1  # as a process that was forked from the owner sees it
    owned.close()
    assert owned.path.is_dir()
    owned._pid = os.getpid()
    owned.close()


def test_a_path_that_mlflow_would_misread_has_a_second_name(tmp_path: Path) -> None:
    odd = tmp_path / "a#b%20?"
    odd.mkdir()
    (odd / "file").write_text("content")
    with plainly_named(odd) as plain:
        assert plain.name == "a_b_20_"
        assert (plain / "file").read_text() == "content"
    assert not plain.exists()


def test_a_plain_path_keeps_its_name(tmp_path: Path) -> None:
    with plainly_named(tmp_path) as plain:
        assert plain == tmp_path
