"""What is written appears whole, or not at all; what stood there stays."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from full_disks import no_file_beyond
from places import IMPORTS

from metamodel.common.failures import storage_failures
from metamodel.common.whole_files import whole_directory, whole_file
from metamodel.exceptions import InputError, StorageFailed


def write(path: Path, size: int) -> None:
    with storage_failures(), whole_file(path) as unfinished:
        unfinished.write_bytes(b"x" * size)


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")
    with no_file_beyond(1000), pytest.raises(StorageFailed, match="cannot be written: File too large"):
        write(page, 2000)
    assert page.read_text() == "before"
    assert list(tmp_path.iterdir()) == [page]


def test_a_link_stays_one_and_the_mode_of_the_file_too(tmp_path: Path) -> None:
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    page.touch(mode=0o600)
    link.symlink_to(page)
    write(link, 10)
    assert link.is_symlink()
    assert (page.stat().st_size, page.stat().st_mode & 0o777) == (10, 0o600)


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, 10)
    reader.join(100)
    assert read == [b"x" * 10]


def test_a_directory_appears_when_it_is_complete(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="File exists"), whole_directory(tmp_path / "child") as unfinished:
        [(unfinished / "part").mkdir() for _ in range(2)]
    assert list(tmp_path.iterdir()) == []
    with whole_directory(tmp_path / "a" / "child") as unfinished:
        (unfinished / "part").mkdir()
    assert list((tmp_path / "a").rglob("*")) == [tmp_path / "a" / "child", tmp_path / "a" / "child" / "part"]


KILLED = """
import os, signal, sys
from pathlib import Path
from metamodel.common.whole_files import whole_directory, whole_file
with whole_file(Path(sys.argv[1], "page.html")) as page, whole_directory(Path(sys.argv[1], "child")) as child:
    page.write_text("half")
    (child / "part").touch()
    if sys.argv[2:]:
        print("writing", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _killed(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, folder], env=ENVIRONMENT, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(folder.glob(".*.unfinished-*"))) == 2


ENVIRONMENT = {**os.environ, "PYTHONPATH": IMPORTS}


@pytest.mark.parametrize("writes", [lambda folder: write(folder / "other", 1), lambda folder: whole(folder / "new")])
def test_what_a_killed_process_left_goes_with_whatever_is_written_next(
    writes: Callable[[Path], None], tmp_path: Path
) -> None:
    _killed(tmp_path)
    writes(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def whole(path: Path) -> None:
    with whole_directory(path):
        pass


def test_what_a_living_process_is_writing_stays_and_so_does_what_is_not_ours(tmp_path: Path) -> None:
    foreign = [tmp_path / name for name in (".page.unfinished-7", "page.unfinished-7-0a1b2c3d", ".page-7-0a1b2c3d")]
    for path in foreign:
        path.touch()
    link = tmp_path / ".page.unfinished-7-0a1b2c3d"
    link.symlink_to(foreign[0])
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path, "wait"],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        write(tmp_path / "other", 1)
        assert len(list(tmp_path.glob(f".*.unfinished-{process.pid}-*"))) == 2
        process.communicate(timeout=60)
    write(tmp_path / "other", 1)
    assert set(tmp_path.iterdir()) == {*foreign, link, tmp_path / "other"}


def test_what_was_taken_away_before_its_lock_was_had_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def take_away(path: Path, flags: int, mode: int = 0o777) -> int:
        lock = opened(path, flags, mode)
        if not flags & os.O_CREAT:
            path.unlink()
        return lock

    monkeypatch.setattr(os, "open", take_away)
    with whole_file(tmp_path / "page.html") as unfinished:
        monkeypatch.undo()
        assert unfinished.is_file()
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]


def test_a_path_that_leads_nowhere_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/none/page\.html' cannot be used: No such file or directory"):
        write(tmp_path / "none" / "page.html", 1)


def test_other_errors_are_let_through() -> None:
    with pytest.raises(OSError, match="Broken pipe") as raised, storage_failures():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert type(raised.value) is BrokenPipeError
