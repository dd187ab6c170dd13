"""A process that has imported the command line with all that it uses, and forks a child for each program asked for.

``python fork_server.py <number of an open socket> <number of another>`` listens there until its standard input ends,
which its parent holds open. It imports nothing before it is asked for the first time; `forked_programs` is how tests
ask.

Who asks at the second socket finds imported what others wrote alone, and nothing of the checkout on the path: such a
child finds the code of a model where a new Python finds it. The process that forks those is the one from which the
process is forked that imports the checkout, too, so that what others wrote is imported once.
"""

import atexit
import contextlib
import gc
import json
import os
import pkgutil
import runpy
import selectors
import site
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from places import ROOT
from quick_imports import compile_once, parse_packages_once, remember_newest_schema

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
_ANSWERING = ("mlflow.pyfunc.backend", "pyarrow.dataset", "sklearn.tree")

# It looks for each of NumPy's functions in all that is imported by then: last, it took a third of the time of all.
_FIRST = ("skops.io",)


@contextlib.contextmanager
def imported_for_good() -> Iterator[None]:
    """Look for no garbage in what is imported here, nor later: it takes a third of the time of importing it."""
    gc.disable()
    yield
    gc.freeze()  # nor is it garbage to any child
    gc.enable()


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
    imported: str  # "all", "others", or "isolated": as `python -I`, neither its directory nor PYTHONPATH is on its path
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
        if self.imported == "all":
            sys.path.insert(0, directory)  # the server has what PYTHONPATH says
        elif self.imported == "others":
            sys.path[:0] = [directory, *_named_folders(self.environment)]


def _named_folders(environment: Mapping[str, str]) -> list[str]:
    return [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]


def import_all() -> None:
    """Import every module of the package, and what it imports late; what is not installed is left out."""
    import metamodel

    ours = [module.name for module in pkgutil.walk_packages(metamodel.__path__, "metamodel.")]
    _import(name for name in (*ours, *_LATE) if not name.endswith("__main__"))
    sys.modules["metamodel.flavor.code_archive"]._packed()  # what goes with each model that a process logs


def import_others() -> None:
    """Import what answering with a model takes, and nothing of the package."""
    _import([*_FIRST, *_LATE, *_ANSWERING])
    ours = sorted(name for name in sys.modules if name.partition(".")[0] == "metamodel")
    assert not ours, f"another package imports {ours}, which a model has to bring along"
    compile_once(ROOT / "metamodel")


def _import(names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):
            import_module(name)
    _work_out()


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
    """Forks whoever is asked for, and tells how each ended.

    Parameters
    ----------
    listening
        Where it is asked.
    import_modules
        What it does when it is asked for the first time.
    further
        Another socket and what its server does in addition; that server is forked from this one.
    """

    def __init__(
        self,
        listening: socket.socket,
        import_modules: Callable[[], None],
        further: tuple[socket.socket, Callable[[], None]] | None = None,
    ) -> None:
        self._listening = listening
        self._import_modules = import_modules
        self._further = further
        self._forked: int | None = None  # the process of the further server
        self._selector = selectors.DefaultSelector()
        self._running: dict[int, tuple[int, socket.socket]] = {}  # by descriptor of the process
        self._warm = False

    def next_request(self) -> Request:
        """Work until the parent has gone; returns in a new child alone."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, lambda _: self._end())
        self._selector.register(self._listening, selectors.EVENT_READ, lambda _: self._take())
        if self._further:
            self._selector.register(self._further[0], selectors.EVENT_READ, lambda _: self._fork_further())
        while True:
            for key, _ in self._selector.select():
                act: Callable[[int], Request | None] = key.data
                if request := act(key.fd):
                    return request

    def _warm_up(self) -> None:
        if not self._warm:
            with imported_for_good():
                self._import_modules()
            self._warm = True

    def _take(self) -> Request | None:
        connection, _ = self._listening.accept()
        start, streams, _, _ = socket.recv_fds(connection, NUMBER.size, STREAMS)
        request = Request(**read_json(connection, *NUMBER.unpack(start)), streams=streams)
        self._warm_up()
        process = os.fork()
        if process == 0:
            os.setsid()  # so that a signal to its group hits nobody else
            connection.sendall(NUMBER.pack(os.getpid()))
            connection.close()
            self._let_go()
            return request
        for stream in streams:
            os.close(stream)
        descriptor = os.pidfd_open(process)
        self._running[descriptor] = process, connection
        self._selector.register(descriptor, selectors.EVENT_READ, self._tell)
        return None

    def _fork_further(self) -> Request | None:
        """Fork the further server, which is asked from now on; returns in a child of it alone."""
        assert self._further is not None
        listening, import_modules = self._further
        self._warm_up()
        self._forked = os.fork()
        if self._forked:
            self._selector.unregister(listening)
            listening.close()
            self._further = None
            return None
        self._further = None
        self._let_go()
        return ForkServer(listening, import_modules).next_request()

    def _let_go(self) -> None:
        """Close in a child what is its parent's."""
        self._selector.close()
        for descriptor, (_, other) in self._running.items():
            os.close(descriptor)
            other.close()
        self._listening.close()
        if self._further:
            self._further[0].close()

    def _tell(self, descriptor: int) -> None:
        process, connection = self._running.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with contextlib.suppress(OSError), connection:  # whoever asked may have gone
            connection.sendall(NUMBER.pack(code))

    def _end(self) -> None:
        if self._forked:
            os.waitpid(self._forked, 0)
        os._exit(0)


def read_json(connection: socket.socket, size: int) -> Any:
    """Read so many bytes."""
    with connection.makefile("rb") as file:
        return json.loads(file.read(size))


def run_and_end(run: Callable[[], None]) -> None:
    """Run what a forked process is for, and end it as `multiprocessing` ends its own: nothing is taken apart.

    Threads are waited for, what was to be done at the end is done, and garbage is looked for. To take apart all that is
    imported, in which no two processes differ, takes five times as long as to fork. Whoever fails ends in Python's way.
    """
    try:
        run()
        code = 0
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # Python says what it could not write
    os._exit(code & 0xFF)


def main() -> None:
    """Serve, and be one child after the other."""
    everything, others = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    path = sys.path[1:]  # without this script's folder
    named = len(_named_folders(os.environ))
    sys.path[:] = [folder for folder in path[named:] if folder != site.getusersitepackages()]

    def import_ours() -> None:
        sys.path[:] = path
        import_all()

    server = ForkServer(others, import_others, (everything, import_ours))
    run_and_end(server.next_request().run)


if __name__ == "__main__":
    main()
