"""joblib's workers that have nothing to import: children of a process that has imported what they use.

``python forked_workers.py <number of a socket>`` is that process, one for each that starts workers. It clones itself
for each worker in such a way that the worker is its parent's child: joblib waits for it, learns how it ended, and it
sees when its owner has gone, as if joblib had started it. It has the environment, directory and files of such a worker.
"""

import atexit
import contextlib
import ctypes
import fcntl
import json
import os
import platform
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from fork_server import NUMBER, READ_ONCE, imported_for_good, read_json, run_and_end, take_over

__all__ = ["can_fork_workers", "fork_workers", "forking_fork_exec"]

ForkExec = Callable[..., int]

# The module that joblib runs for a worker.
_WORKER = "joblib.externals.loky.backend.popen_loky_posix"

# What fitting imports, some of it late.
_IMPORTED = (
    *("metamodel.training.engines.joblib_pool", "metamodel.training.verify_stacks", "metamodel.fitting.tuning.study"),
    *("joblib.externals.loky.process_executor", "joblib.externals.loky.backend.queues", "threadpoolctl", "psutil"),
    *("sklearn.dummy", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "sklearn.tree"),
)

# What further variables that a library reads once, at its start, have in their name.
_THREADS = "_NUM_THREADS"

# Arrow's memory is given back by a thread, which no clone would have.
_OF_THE_SERVER = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}

# The number of the system call, and what makes the new process a child of the caller's parent.
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT = 0x8000


def can_fork_workers() -> bool:
    """Whether the system has what that needs, and joblib starts processes as it does from 1.5 on."""
    with contextlib.suppress(ImportError):  # joblib's own affair, and another in other versions
        from joblib.externals.loky.backend import fork_exec

        older = hasattr(fork_exec, "close_fds")  # these close the worker's stdin, and leave files to their caller
        return sys.platform == "linux" and platform.machine() in _CLONE and not older
    return False


def fork_workers() -> None:
    """Let joblib's workers of this process be forked, where they can be."""
    if can_fork_workers():
        from joblib.externals.loky.backend import fork_exec

        fork_exec.fork_exec = forking_fork_exec(fork_exec.fork_exec)


def forking_fork_exec(fork_exec: ForkExec) -> ForkExec:
    """Make what starts joblib's processes fork the workers among them whose libraries have one thread."""
    servers: dict[tuple[object, ...], _Server] = {}
    lock = threading.Lock()

    def start(command: Sequence[str], descriptors: Sequence[int], env: dict[str, str] | None = None) -> int:
        environment = {**os.environ, **(env or {})}
        # With more, NumPy starts threads at its import, which no clone would have.
        if list(command[1:3]) != ["-m", _WORKER] or environment.get("OPENBLAS_NUM_THREADS") != "1":
            return fork_exec(command, descriptors, env=env)
        once = sorted(item for item in environment.items() if item[0].startswith(READ_ONCE) or _THREADS in item[0])
        with lock:
            server = servers.get(key := (os.getpid(), *once))
            if server is None:
                server = servers[key] = _Server(fork_exec, env)
            return server.fork(command[3:], [0, 1, 2, *descriptors], environment)

    return start


class _Server:
    """The process that forks, seen from its parent.

    Parameters
    ----------
    fork_exec
        What starts it.
    env
        Variables that it has besides this process's.
    """

    def __init__(self, fork_exec: ForkExec, env: dict[str, str] | None) -> None:
        self._connection, other = socket.socketpair()
        self._owner = os.getpid()
        with other:
            command = [sys.executable, __file__, str(other.fileno())]
            self._process = fork_exec(command, [other.fileno()], env={**(env or {}), **_OF_THE_SERVER})
        atexit.register(self._end)

    def fork(self, arguments: Sequence[str], descriptors: Sequence[int], environment: dict[str, str]) -> int:
        """Have a worker forked, and return the id of its process."""
        about = {"arguments": arguments, "numbers": descriptors, "environment": environment, "directory": os.getcwd()}
        request = json.dumps(about).encode()
        socket.send_fds(self._connection, [NUMBER.pack(len(request))], descriptors)
        self._connection.sendall(request)
        return int(NUMBER.unpack(self._connection.recv(NUMBER.size, socket.MSG_WAITALL))[0])

    def _end(self) -> None:
        if os.getpid() == self._owner:
            self._connection.close()
            os.waitpid(self._process, 0)


def _serve(connection: socket.socket) -> dict[str, Any]:
    """Fork until the parent has gone; returns in a new worker alone, what it has to be."""
    with imported_for_good():
        for name in _IMPORTED:
            import_module(name)
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"{len(threads)} threads, of which a worker would have one"
    while True:
        start, descriptors, _, _ = socket.recv_fds(connection, NUMBER.size, 253)
        if not start:
            os._exit(0)
        about = read_json(connection, *NUMBER.unpack(start))
        process = _clone()
        if process == 0:
            connection.close()
            return {**about, "descriptors": descriptors}
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(NUMBER.pack(process))


def _clone() -> int:
    """Fork a child of this process's parent."""
    python, system = ctypes.pythonapi, ctypes.PyDLL(None)
    before, parent, child, call = (
        python.PyOS_BeforeFork,
        python.PyOS_AfterFork_Parent,
        python.PyOS_AfterFork_Child,
        system.syscall,
    )
    before()
    process = call(_CLONE[platform.machine()], _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    (parent if process else child)()
    return int(process)


def _be_worker(
    arguments: list[str],
    numbers: list[int],
    environment: dict[str, str],
    directory: str,
    descriptors: list[int],
) -> None:
    """Be what joblib would have started: files have the numbers that they have in its owner."""
    above = max(*numbers, *descriptors) + 1
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(aside, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    take_over(directory, environment)
    sys.argv = [_WORKER, *arguments]
    sys.path[0] = directory
    runpy.run_module(_WORKER, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    about = _serve(socket.socket(fileno=int(sys.argv[1])))
    run_and_end(lambda: _be_worker(**about))
