"""Directories of a process: gone when it ends, and swept by the next one where it was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metamodel.common.temp_dirs import OwnedDirectory, plainly_named, private_directory, sweep

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


def test_a_private_directory_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = private_directory(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_directory(made) == made


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _in_a_directory_of_all(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("prepare", "match"),
    [
        (_link, "is no directory, but a link"),
        (Path.touch, "is no directory, but a link or a file"),
        (_open_to_all, r"^others may write to .*/mine \(chmod go-w"),
        (_in_a_directory_of_all, r"^others may write to .*/parent \(chmod go-w"),
    ],
)
def test_a_directory_that_others_can_change_is_refused(
    tmp_path: Path, prepare: Callable[[Path], object], match: str
) -> None:
    (tmp_path / "parent").mkdir()
    prepare(tmp_path / "parent" / "mine")
    with pytest.raises(PermissionError, match=match):
        private_directory(tmp_path / "parent" / "mine")


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private_directory(tmp_path / "mine")
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(PermissionError, match="mine belongs to another user"):
        private_directory(tmp_path / "mine")


def test_a_directory_in_a_sticky_one_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert private_directory(tmp_path / "mine").is_dir()
