"""A process that has imported the command line with all that it uses, and forks a child for each program asked for.

``python fork_server.py <number of an open socket>`` listens there until its standard input ends, which its parent holds
open. It imports nothing before it is asked for the first time. `forked_programs` is how tests ask.

``python -P -s fork_server.py <number> others`` imports only what others wrote, and has nothing of the checkout on its
path: its children find the code of a model where a new Python finds it.
"""

import contextlib
import functools
import gc
import json
import os
import pkgutil
import runpy
import selectors
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

NUMBER = struct.Struct("!q")  # the length of a request, the id of a process, an exit code
STREAMS = 3

# How the names of variables begin that Python or a library reads once, at its start.
READ_ONCE = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_")

# What the commands import besides, late: stores, the log of a training, and servers.
_LATE = (
    # The application of MLflow's server asks whether uvicorn is there.
    *("uvicorn", "uvicorn.main", "mlflow.pyfunc.scoring_server", "mlflow.server", "mlflow.server.fastapi_app"),
    *("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("mlflow.cli", "matplotlib.figure"),
    *("sklearn.ensemble", "sklearn.pipeline", "pyarrow.parquet", "alembic.command", "sqlalchemy.dialects.sqlite"),
    *("IPython", "git"),
)

# What answers with a logged model.
_ANSWERING = ("mlflow.pyfunc.backend", "pyarrow.dataset", "sklearn.tree", "skops.io")


def take_over(directory: str, environment: Mapping[str, str]) -> None:
    """Have, in a process that was forked, the directory, variables and chance of one that was started there."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None  # TMPDIR may be another
    sys.modules["numpy"].random.seed()  # or all children draw the same


class Request(NamedTuple):
    """A program, and what the process that runs it is given."""

    module: str  # run as `python -m` does; "-c": the first argument is the program
    before: str  # Python that is run first, such as to change a limit
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    is_isolated: bool  # as `python -I` is: neither its directory nor PYTHONPATH is on its path
    streams: list[int]  # descriptors of stdin, stdout and stderr

    def run(self) -> None:
        """Be that process."""
        for number, stream in enumerate(self.streams):
            os.dup2(stream, number)
            os.close(stream)
        take_over(self.directory, self.environment)
        if self.environment.get("PYTHONUNBUFFERED"):
            sys.stdout.reconfigure(line_buffering=True, write_through=True)
        self._set_path()
        sys.argv = [self.module, *self.arguments]
        if self.before:
            exec(compile(self.before, "<before>", "exec"), {"__name__": "before"})
        if self.module != "-c":
            runpy.run_module(self.module, run_name="__main__", alter_sys=True)
            return
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(sys.argv.pop(1), "<string>", "exec"), vars(main))

    def _set_path(self) -> None:
        directory = "" if self.module == "-c" else self.directory
        if not sys.flags.safe_path:
            sys.path[0] = directory  # in place of the one of the server's script
        elif not self.is_isolated:
            further = self.environment.get("PYTHONPATH", "")
            sys.path[:0] = [directory, *filter(None, further.split(os.pathsep))]


def import_all() -> None:
    """Import every module of the package, and what it imports late; what is not installed is left out."""
    import metamodel

    ours = [module.name for module in pkgutil.walk_packages(metamodel.__path__, "metamodel.")]
    _import(name for name in (*ours, *_LATE) if not name.endswith("__main__"))
    sys.modules["metamodel.flavor.code_archive"]._packed()  # what goes with each model that a process logs


def import_others() -> None:
    """Import what answering with a model takes, and nothing of the package."""
    _import([*_LATE, *_ANSWERING])
    ours = sorted(name for name in sys.modules if name.partition(".")[0] == "metamodel")
    assert not ours, f"another package imports {ours}, which a model has to bring along"


def _import(names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):
            import_module(name)
    _work_out()


def parse_packages_once() -> None:
    """Let the same text of what an installed package says of itself be parsed once; it is read each time.

    It is parsed for each of the forty versions that are asked for when a model is trained and logged, by MLflow's own
    copy of `importlib.metadata`: a twelfth of the time that takes.
    """
    import importlib_metadata

    if parse := getattr(importlib_metadata.Distribution, "_assemble_message", None):  # older ones have it not
        importlib_metadata.Distribution._assemble_message = staticmethod(functools.cache(parse))  # type: ignore[method-assign]


def remember_newest_schema() -> None:
    """Let MLflow look once which of its migrations is the newest: it reads all of them for each store that it opens."""
    from mlflow.store.db import utils

    utils._get_latest_schema_revision = functools.cache(utils._get_latest_schema_revision)


def _work_out() -> None:
    """Work out what MLflow and SQLAlchemy would work out anew in each process that logs a model or opens a store.

    Which package brings which modules takes MLflow half of the time of logging a first small model.
    """
    from mlflow.store.db import utils
    from mlflow.utils import requirements_utils
    from sqlalchemy.orm import configure_mappers

    parse_packages_once()
    requirements_utils._init_modules_to_packages_map()
    configure_mappers()
    remember_newest_schema()
    utils._get_latest_schema_revision()


class ForkServer:
    """Forks whoever is asked for, and tells how each ended."""

    def __init__(self, listening: socket.socket, import_modules: Callable[[], None]) -> None:
        self._listening = listening
        self._import_modules = import_modules
        self._selector = selectors.DefaultSelector()
        self._running: dict[int, tuple[int, socket.socket]] = {}  # by descriptor of the process
        self._warm = False

    def next_request(self) -> Request:
        """Work until the parent has gone; returns in a new child alone."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, lambda _: sys.exit(0))
        self._selector.register(self._listening, selectors.EVENT_READ, lambda _: self._take())
        while True:
            for key, _ in self._selector.select():
                act: Callable[[int], Request | None] = key.data
                if request := act(key.fd):
                    return request

    def _take(self) -> Request | None:
        connection, _ = self._listening.accept()
        start, streams, _, _ = socket.recv_fds(connection, NUMBER.size, STREAMS)
        request = Request(**read_json(connection, *NUMBER.unpack(start)), streams=streams)
        if not self._warm:
            self._import_modules()
            gc.freeze()  # what is there for good is no garbage to any child
            self._warm = True
        process = os.fork()
        if process == 0:
            os.setsid()  # so that a signal to its group hits nobody else
            connection.sendall(NUMBER.pack(os.getpid()))
            self._let_go(connection)
            return request
        for stream in streams:
            os.close(stream)
        descriptor = os.pidfd_open(process)
        self._running[descriptor] = process, connection
        self._selector.register(descriptor, selectors.EVENT_READ, self._tell)
        return None

    def _let_go(self, connection: socket.socket) -> None:
        """Close in a child what is its parent's."""
        self._selector.close()
        for descriptor, (_, other) in self._running.items():
            os.close(descriptor)
            other.close()
        connection.close()
        self._listening.close()

    def _tell(self, descriptor: int) -> None:
        process, connection = self._running.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with contextlib.suppress(OSError), connection:  # whoever asked may have gone
            connection.sendall(NUMBER.pack(code))


def read_json(connection: socket.socket, size: int) -> Any:
    """Read so many bytes."""
    with connection.makefile("rb") as file:
        return json.loads(file.read(size))


def main() -> None:
    """Serve, and be one child after the other."""
    number, *only = sys.argv[1:]
    request = ForkServer(socket.socket(fileno=int(number)), import_others if only else import_all).next_request()
    request.run()


if __name__ == "__main__":
    main()
