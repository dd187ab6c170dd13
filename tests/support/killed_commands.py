"""Commands in processes that are ready to work at once, so that they can be killed at any moment of it."""

import multiprocessing
import os
import tempfile
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path

PRELOADED = [
    "metamodel",
    "metamodel.monitoring.monitor",
    "metamodel.tracking.log_training",
    "metamodel.training.train",
    "killed_commands",
]


def processes() -> ForkServerContext:
    """Make processes that have imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def begin(context: ForkServerContext, program: str, store: str, folder: Path) -> ForkServerProcess:
    """Start a program; returns when its process is there and about to work."""
    begun = context.Event()
    process = context.Process(target=_work, args=(program, store, folder, begun))
    process.start()
    if not begun.wait(60):
        process.kill()
        raise TimeoutError("the process did not begin")
    return process


def seconds(context: ForkServerContext, program: str, store: str, folder: Path) -> float:
    """How long a program takes where nobody kills it."""
    process, start = begin(context, program, store, folder), time.monotonic()
    process.join(60)
    if process.exitcode != 0:
        process.kill()
        raise RuntimeError(f"the program ended with {process.exitcode}")
    return time.monotonic() - start


def _work(program: str, store: str, folder: Path, begun: Event) -> None:
    import mlflow

    import metamodel

    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    mlflow.set_tracking_uri(store)
    begun.set()
    exec(program, {"metamodel": metamodel})
