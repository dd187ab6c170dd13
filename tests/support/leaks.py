"""What a test may change for a while and must give back: what the whole process shares.

A test that leaves an environment variable, a working directory or a store behind decides how a later one ends, and
which one comes later is another thing in every order and on every number of processes.
"""

import logging
import os
import signal
import socket
import sys
import tempfile
from typing import Any

# What pytest sets for each test, and what libraries set for good: at their import, and with Spark's session.
_CHANGING = {
    "PYTEST_CURRENT_TEST",
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "_MLFLOW_TELEMETRY_SESSION_ID", "_RJEM_MALLOC_CONF"),
    *("SPARK_AUTH_SOCKET_TIMEOUT", "SPARK_BUFFER_SIZE"),
}

# SIGALRM is pytest-timeout's.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


def _environment() -> dict[str, str]:
    return {f"variable {name}": value for name, value in os.environ.items() if name not in _CHANGING}


def _process() -> dict[str, Any]:
    handlers = {f"handler of {number.name}": signal.getsignal(number) for number in _SIGNALS}
    return handlers | {
        "working directory": os.getcwd(),
        "sys.excepthook": sys.excepthook,
        "tempfile.tempdir": tempfile.gettempdir(),
        "time limit of sockets": socket.getdefaulttimeout(),
    }


def _logging() -> dict[str, Any]:
    root = logging.getLogger()
    names = ("metamodel", "py.warnings")
    levels = {f"level of the logger {name}": logging.getLogger(name).level for name in names}
    # pytest's own handlers come and go with each phase of a test.
    handlers = tuple(handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest"))
    return levels | {
        "handlers of logging's root": handlers,
        "level of logging that is off": logging.root.manager.disable,
    }


def _mlflow() -> dict[str, Any]:
    """Where MLflow logs to; looking is no reason to import it."""
    stores: dict[str, Any] = {"tracking": None, "registry": None, "experiment": None, "active runs": ()}
    if "mlflow.tracking.fluent" in sys.modules:
        from mlflow.tracking import fluent
        from mlflow.tracking._model_registry import utils as registry
        from mlflow.tracking._tracking_service import utils as tracking

        stores["tracking"], stores["registry"] = tracking._tracking_uri, registry._registry_uri
        stores["experiment"] = fluent._active_experiment_id
        stores["active runs"] = tuple(run.info.run_id for run in fluent._active_run_stack.get())
    return {f"MLflow's {name}": value for name, value in stores.items()}


def _libraries() -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    state = {f"errstate {name} of NumPy": value for name, value in np.geterr().items()}
    state["option string_storage of pandas"] = pd.get_option("mode.string_storage")
    if "sklearn" in sys.modules:
        state |= {
            f"setting {name} of scikit-learn": value for name, value in sys.modules["sklearn"].get_config().items()
        }
    pyplot = sys.modules.get("matplotlib.pyplot")
    state["figures of Matplotlib"] = tuple(pyplot.get_fignums()) if pyplot else ()
    return state


def shared_state() -> dict[str, Any]:
    """What this process shares with everything that comes after, by name."""
    return {**_environment(), **_process(), **_logging(), **_mlflow(), **_libraries()}


class Watch:
    """What everybody shares, since it was looked at for the last time."""

    def __init__(self) -> None:
        self._before = shared_state()
        self._path = list(sys.path)

    def put_back(self) -> None:
        """Take off the path what MLflow puts there, first and for good, with each model that it loads."""
        sys.path[:] = self._path

    def changes(self) -> list[str]:
        """Say what is not as it was; it is said once, so that those who come after are not blamed for it."""
        before, after = self._before, shared_state()
        self._before = after
        # Settings of a library that was imported since have no before; a new variable has none either, and is a change.
        names = before.keys() | {name for name in after if name.startswith("variable ")}
        changed = sorted(name for name in names if before.get(name) != after.get(name))
        return [f"{name}: {before.get(name)!r} -> {after.get(name)!r}" for name in changed]
