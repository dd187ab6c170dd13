"""Load children before they are asked for, so that the next ones are on their way while one answers."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from metamodel.tables.keys import GroupKey

__all__ = ["look_ahead"]

Load = Callable[[GroupKey], Any]


@contextmanager
def look_ahead(load: Load, keys: Sequence[GroupKey], threads: int) -> Iterator[Load]:
    """Hand out a `load` that is some places ahead of the caller.

    Parameters
    ----------
    load
        Loads one child; safe to call from many threads.
    keys
        In the order in which the caller will ask.
    threads
        Loads at the same moment; twice as many children may wait to be asked for.
    """
    executor = ThreadPoolExecutor(threads, thread_name_prefix="metamodel-fetch")
    try:
        yield _LookAhead(load, executor, keys, 2 * threads).load
    finally:
        executor.shutdown(cancel_futures=True)


class _LookAhead:
    """Loads children before they are asked for, at most `window` of them, in the order of the keys."""

    def __init__(self, load: Load, executor: ThreadPoolExecutor, keys: Sequence[GroupKey], window: int) -> None:
        self._load = load
        self._executor = executor
        self._waiting = deque(keys)
        self._coming: dict[GroupKey, Future[Any]] = {}
        self._window = window

    def load(self, key: GroupKey) -> Any:
        while self._waiting and len(self._coming) < self._window:
            coming = self._waiting.popleft()
            self._coming[coming] = self._executor.submit(self._load, coming)
        future = self._coming.pop(key, None)
        return self._load(key) if future is None else future.result()
