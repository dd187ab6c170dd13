"""Let Python's garbage collector look less often at many small objects that all stay."""

import functools
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collect_seldom", "keep_in_spark_worker", "seldom_collecting"]

# New objects until the collector looks; Python's own number is 700. What is garbage in circles waits that much longer.
_NEW_OBJECTS = 100_000


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for garbage in circles after many new objects, inside the block; a tenth less time for rows of a ledger.

    A process that collects even less often, or not at all, is left to it.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < _NEW_OBJECTS:
        yield
        return
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def collect_seldom() -> None:
    """Look for garbage after many new objects from now on, in a process that is ours.

    Libraries bring half a million objects that stay for good. To look through them again and again while they are
    imported is a sixth of what a short command takes.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


@functools.cache
def keep_in_spark_worker() -> None:
    """Let PySpark pass over all that was imported, once in each of its worker processes.

    Its daemon has a worker look through everything for garbage after every task: a tenth of a second where scikit-learn
    and MLflow are loaded (`benchmarks/spark_tasks.py`), and each process that was forked off has to copy the pages.
    """
    if getattr(sys.modules["__main__"].__spec__, "name", None) == "pyspark.daemon":
        gc.freeze()
