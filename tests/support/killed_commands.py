"""Commands in processes that are ready to work at once, so that they can be killed at any moment of it."""

import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
    if not begun.wait(200):
        process.kill()
        raise TimeoutError("the process did not begin")
    return process


def seconds(context: ForkServerContext, program: str, store: str, folder: Path) -> float:
    """How long a program takes where nobody kills it."""
    process, start = begin(context, program, store, folder), time.monotonic()
    process.join(240)
    if process.exitcode != 0:
        process.kill()
        raise RuntimeError(f"the program ended with {process.exitcode}")
    return time.monotonic() - start


def kill_at_random(
    context: ForkServerContext, program: str, store: str, folder: Path, kills: int, whole: float, latest: float
) -> Iterator[bool]:
    """Start a program again and again, and kill it at some moment of its way; the moments are the same each time.

    Parameters
    ----------
    context, program, store, folder
        As in `begin`.
    kills
        How often.
    whole
        Seconds that it takes where nobody kills it.
    latest
        Share of these after which it is killed at the latest.

    Yields
    ------
    bool
        Whether it was killed, and not done already.
    """
    chance = random.Random(0)
    for _ in range(kills):
        process = begin(context, program, store, folder)
        began = time.monotonic()
        process.join(chance.uniform(0.1, latest) * whole)
        took = time.monotonic() - began
        process.kill()
        process.join()
        if process.exitcode == 0:  # the machine has less to do than when the time was taken
            whole = min(whole, took)
        yield process.exitcode != 0


def run_whole(program: str, store: str, folder: Path) -> None:
    """Run a program in a whole process, which tidies up at its end."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store, "TMPDIR": str(folder)}
    command = [sys.executable, "-c", f"import metamodel; {program}"]
    subprocess.run(command, env=environment, check=True, timeout=120)


def _work(program: str, store: str, folder: Path, begun: Event) -> None:
    import mlflow

    import metamodel

    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    mlflow.set_tracking_uri(store)
    begun.set()
    exec(program, {"metamodel": metamodel})
