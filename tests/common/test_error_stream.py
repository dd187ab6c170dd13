"""What nobody takes of stderr: the writer neither fails nor waits, and what is taken is whole and in order."""

import fcntl
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from places import IMPORTS

from metamodel.common.error_stream import error_stream, forgive_stderr

pytestmark = pytest.mark.tableless


def _written(descriptor: int, text: str, *, wait: bool = False) -> None:
    with error_stream(descriptor, wait=wait) as stream:
        stream.write(text)


@pytest.mark.parametrize("wait", [True, False])
def test_what_is_taken_is_whole_and_stands_behind_what_was_there(tmp_path: Path, wait: bool) -> None:
    lines = [f"line {number} äß\n" for number in range(2000)]
    with (tmp_path / "log").open("wb") as file, error_stream(file.fileno(), wait=wait) as stream:
        os.write(file.fileno(), b"before\n")
        stream.writelines(lines)
        os.write(file.fileno(), b"behind\n")
    assert (tmp_path / "log").read_text() == "".join(["before\n", *lines, "behind\n"])


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_full_disk_fails_no_write(wait: bool) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        _written(full.fileno(), "a line\n", wait=wait)
        with pytest.raises(OSError, match="No space left"):
            full.write(b"a line\n")


@pytest.mark.parametrize("wait", [True, False])
def test_a_reader_that_has_gone_fails_no_write(wait: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    _written(writing, "a line\n", wait=wait)
    os.close(writing)


def test_a_pipe_that_nobody_reads_is_not_waited_for_and_takes_more_once_it_is_read() -> None:
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    _written(writing, "x" * (2 * size))
    assert len(os.read(reading, 2 * size)) == size
    _written(writing, "a line\n")
    assert os.read(reading, 100) == b"a line\n"
    assert not fcntl.fcntl(writing, fcntl.F_GETFL) & os.O_NONBLOCK  # which is of all who have this file
    os.close(reading)
    os.close(writing)


def test_a_socket_that_nobody_reads_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        _written(theirs.fileno(), "x" * 10_000_000)
        assert ours.recv(10) == b"x" * 10


def test_the_number_may_be_another_files_later(tmp_path: Path) -> None:
    first, second = (tmp_path / "first").open("wb"), (tmp_path / "second").open("wb")
    with first, second, error_stream(first.fileno(), wait=False) as stream:
        os.dup2(second.fileno(), first.fileno())
        stream.write("a line\n")
    assert [(tmp_path / name).read_text() for name in ("first", "second")] == ["a line\n", ""]


def test_a_stream_that_is_not_the_processs_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    of_notebook = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stderr", of_notebook)
    forgive_stderr(wait=True)
    assert sys.stderr is of_notebook


def _run(redirection: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = f'exec "$0" "$@" {redirection}'
    env = {**os.environ, "PYTHONPATH": IMPORTS}
    return subprocess.run(
        ["sh", "-c", command, sys.executable, *arguments],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_nothing_that_is_told_ends_the_work_or_stands_in_another_file(tmp_path: Path, redirection: str) -> None:
    program = (
        "import logging, os, sys, warnings\n"
        "from metamodel.common.error_stream import forgive_stderr\n"
        "from metamodel.common.progress import progress_bar, say\n"
        "forgive_stderr(wait=True)\n"
        "with open(sys.argv[1], 'w') as file, progress_bar(2, 'working') as bar:\n"
        "    bar.update(1)\n"
        "    say('a line')\n"
        "    warnings.warn('a warning')\n"
        "    logging.warning('a message')\n"
        "    try:\n"
        "        os.write(2, b'what a library says')\n"
        "    except OSError as error:\n"
        "        assert redirection == '2>/dev/full'\n"
        "print(os.path.getsize(sys.argv[1]))\n"
    ).replace("redirection", repr(redirection))
    run = _run(redirection, "-c", program, str(tmp_path / "file"))
    assert (run.returncode, run.stdout) == (0, "0\n")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_command_ends_with_its_own_code_though_it_cannot_say_why(redirection: str) -> None:
    assert _run(redirection, "-m", "metamodel", "train").returncode == 2
