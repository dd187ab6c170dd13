"""What is written appears whole, or not at all; what stood there stays."""

import errno
import os
import threading
from pathlib import Path

import pytest
from full_disks import no_file_beyond

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
    reader.join(20)
    assert read == [b"x" * 10]


def test_a_directory_appears_when_it_is_complete(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="File exists"), whole_directory(tmp_path / "child") as unfinished:
        [unfinished.mkdir() for _ in range(2)]
    assert list(tmp_path.iterdir()) == []
    with whole_directory(tmp_path / "child") as unfinished:
        unfinished.mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "child"]


def test_a_path_that_leads_nowhere_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be used: No such file or directory"):
        write(tmp_path / "none" / "page.html", 1)


def test_other_errors_are_let_through() -> None:
    with pytest.raises(OSError, match="Broken pipe") as raised, storage_failures():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert type(raised.value) is BrokenPipeError
