"""Share a large batch out to threads: NumPy's loops and the compiled kernel let other threads run beside them."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["on_ranges"]

# Below this many rows a thread is not worth its start, and requests that come side by side keep the cores busy.
_ROWS_OF_A_THREAD = 100_000

# Memory is what a batch waits for; more threads would wait together.
_MOST_THREADS = 4


def on_ranges(work: Callable[[int, int], None], n_rows: int) -> None:
    """Call ``work(start, stop)`` for ranges that make up all rows, at once where there are cores for it.

    Examples
    --------
    >>> on_ranges(lambda start, stop: print(start, stop), 3)
    0 3
    """
    n_threads = min(_MOST_THREADS, n_rows // _ROWS_OF_A_THREAD)
    n_threads = min(n_threads, _cores()) if n_threads > 1 else 1
    if n_threads == 1:
        work(0, n_rows)
        return
    bounds = [n_rows * i // n_threads for i in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(work, bounds[:-1], bounds[1:]))  # raises what a thread raised


def _cores() -> int:
    # macOS and Windows cannot tell which cores this process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
