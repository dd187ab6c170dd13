"""Programs in processes of their own that have nothing to import: children of one fork server of all the tests.

Such a process has the arguments, environment, directory and streams that it is given, an own session, an id that can be
sent signals, and an exit code, as one that was started with ``python -m``. Where a variable is to be another that is
read once, at the start of Python or of a library, a new Python is started.

A second fork server, from which the first is forked, has imported only what others wrote: its children find a model's
code where a new Python does.

``python forked_programs.py <module> <argument>...`` is such a program for shells, with the same streams and exit code.
"""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import fork_server
import same_process
from fork_server import NUMBER, READ_ONCE

# Where the fork servers listen: a folder with a socket each, and what they write.
_PLACE = "METAMODEL_TESTS_FORK_SERVER"
_SOCKETS = ("all", "others")
_LOG = "log"

# Of those that are read once this one is not; nor is PYTHONPATH by the second server.
_UNBUFFERED = "PYTHONUNBUFFERED"

# What a program finds imported: this checkout with all that it uses; what others wrote; or that, by a Python that is as
# `python -I` is.
Imported = Literal["all", "others", "isolated"]


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Have fork servers for this process and for those that it starts, where the system has what that needs."""
    if not hasattr(os, "pidfd_open"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="forks-") as folder, contextlib.ExitStack() as sockets:
        numbers = [sockets.enter_context(_listening(os.path.join(folder, name))).fileno() for name in _SOCKETS]
        with open(os.path.join(folder, _LOG), "wb") as log:
            command = [sys.executable, fork_server.__file__, *map(str, numbers)]
            streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log}
            server = subprocess.Popen(command, pass_fds=numbers, start_new_session=True, **streams)
        os.environ[_PLACE] = folder
        try:
            yield
        finally:
            del os.environ[_PLACE]
            server.communicate(timeout=60)


def _listening(place: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place)
    listening.listen(64)
    return listening


class ForkedProgram:
    """A running program.

    Attributes
    ----------
    pid
        Id of its process, which leads a group of its own.
    returncode
        How it ended, minus the number of the signal that ended it; None before that is known.
    """

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection

    def poll(self) -> int | None:
        """How it ended, if it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            When it has not within so many seconds.
        """
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = _number(self._connection)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


Program = ForkedProgram | subprocess.Popen[bytes]


def start(
    module: str,
    *arguments: str,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.DEVNULL,
    stderr: int | IO[Any] = subprocess.DEVNULL,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    before: str = "",
    imported: Imported = "all",
) -> Program:
    """Start a module as ``python -m`` does.

    Parameters
    ----------
    module
        Its name, or "-c": the first argument is the program.
    arguments
        What comes behind it.
    stdin, stdout, stderr
        Files or descriptors; nothing as a default.
    cwd
        Directory; this process's as a default.
    env
        The whole environment; this process's as a default.
    before
        Python that the process runs first; for a module alone.
    imported
        What it finds imported.
    """
    environment = dict(os.environ if env is None else env)
    place = os.environ.get(_PLACE)
    if place is None or _read_once(environment, imported) != _read_once(os.environ, imported):
        program = ["-c"] if module == "-c" else ["-m", module]
        if before:
            program = ["-c", f"{before}\nimport runpy\n{_RUN}", module]
        streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        command = [sys.executable, *(["-I"] if imported == "isolated" else []), *program, *arguments]
        return subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, **streams)
    about: dict[str, object] = {"module": module, "before": before, "arguments": arguments}
    about |= {"environment": environment, "directory": os.path.abspath(cwd or "")}
    request = json.dumps(about | {"imported": imported}).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.path.join(place, _SOCKETS[imported != "all"]))
    with open(os.devnull, "r+b") as nothing:
        files = [nothing if stream == subprocess.DEVNULL else stream for stream in (stdin, stdout, stderr)]
        numbers = [file if isinstance(file, int) else file.fileno() for file in files]
        socket.send_fds(connection, [NUMBER.pack(len(request))], numbers)
    connection.sendall(request)
    return ForkedProgram(_number(connection), connection)


# Runs the module that the first argument names.
_RUN = "import sys\nsys.argv = sys.argv[1:]\nrunpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def run(module: str, *arguments: str, timeout: float = 240, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a module to its end.

    Parameters
    ----------
    module, arguments
        As in `start`.
    timeout
        Seconds after which it is killed.
    options
        Further ones of `start`; stdout and stderr are read where they are not given.

    Raises
    ------
    subprocess.TimeoutExpired
        When it was killed.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        program = start(module, *arguments, **{"stdout": output, "stderr": errors, **options})
        try:
            code = program.wait(timeout)
        except subprocess.TimeoutExpired:
            program.kill()
            raise
        return subprocess.CompletedProcess([module, *arguments], code, _text(output), _text(errors))


def anew(*packages: str) -> str:
    """Python with which a program begins that imports packages itself, though its fork server has imported them.

    All that it imports besides is there: to see what packages import of one another takes no new Python.
    """
    return (
        "import sys\n"
        f"for _name in [name for name in sys.modules if name.partition('.')[0] in {packages!r}]:\n"
        "    del sys.modules[_name]\n"
    )


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _read_once(environment: Mapping[str, str], imported: Imported) -> dict[str, str]:
    any_value = {_UNBUFFERED} if imported == "all" else {_UNBUFFERED, "PYTHONPATH"}
    names = {name for name in environment if name.startswith(READ_ONCE)} - any_value
    return {name: environment[name] for name in names}


def _number(connection: socket.socket) -> int:
    """Read a number; one that is not whole yet is waited for."""
    data = connection.recv(NUMBER.size, socket.MSG_WAITALL)
    if len(data) < NUMBER.size:
        raise RuntimeError(f"the fork server has gone: {Path(os.environ[_PLACE], _LOG).read_text()}")
    return int(NUMBER.unpack(data)[0])


def python_that_forks(folder: Path) -> Path:
    """Write a `python` there for commands that call it by name: ``-m`` forks; whatever else is a new Python's.

    So are joblib's processes, which have files of their own.

    Parameters
    ----------
    folder
        For the front of PATH; made where it is not there.

    Returns
    -------
    pathlib.Path
        The `python`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new, forked, path = shlex.quote(sys.executable), shlex.quote(__file__), folder / "python"
    script = f'#!/bin/sh\ncase "$1 $2" in "-m joblib."*) ;; "-m "*) shift; exec {new} -S {forked} "$@";; esac\n'
    path.write_text(f'{script}exec {new} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def python_for_execnet() -> str | None:
    """Say what stands for a `python` with which execnet starts a process of `pytest -n`, where processes are forked.

    It has only imported what others wrote: our own code it imports under the eyes of pytest.
    """
    return shlex.join([sys.executable, "-S", __file__]) if _PLACE in os.environ else None


_PASSED_ON = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Be a program for a shell: what ends this one ends that. MLflow's scoring server goes on as in `servers`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    arguments = sys.argv[1:]
    options: dict[str, Any] = {}
    if arguments[:3] == ["mlflow", "models", "serve"]:
        options = {"before": same_process.SCORING, "imported": "others"}
    elif arguments[:2] == ["-u", "-c"]:
        arguments, options = arguments[1:], {"imported": "others"}
    program = start(*arguments, stdin=0, stdout=1, stderr=2, **options)

    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program.pid, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    code = program.wait()
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
