"""A cache bounded in bytes that threads share: one load per key however many ask, least recently used out first."""

import math
import os
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from cachetools import LRUCache

from metamodel.common.fork_lock import ForkLock
from metamodel.exceptions import InputError

__all__ = ["CACHE_VARIABLE", "ByteCache", "Keep", "limit_in_bytes", "process_cache"]

CACHE_VARIABLE = "METAMODEL_CACHE_MB"

_DEFAULT_MB = 1024

Keep = bool | Literal["if_room"]


@dataclass(frozen=True)
class _Entry:
    value: Any
    cost: int


class _CountingLRU(LRUCache[Hashable, _Entry]):
    evictions = 0

    def popitem(self) -> tuple[Hashable, _Entry]:
        self.evictions += 1
        return super().popitem()


class ByteCache:
    """Least-recently-used cache with a limit in bytes.

    Parameters
    ----------
    limit
        Upper bound of the sum of the entries' costs. An entry that is larger than that is handed out but not kept.

    Examples
    --------
    >>> cache = ByteCache(limit=100)
    >>> cache.get("a", lambda: ("child", 60)), cache.get("a", lambda: ("never called", 60))
    ('child', 'child')
    >>> cache.stats()["hits"], cache.stats()["bytes"]
    (1, 60)
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = ForkLock(self._start_empty)
        self._start_empty()
        self._hits = self._misses = self._refused = 0

    def _start_empty(self) -> None:
        # In a forked process nobody ends the loads of the parent's threads, and one may have been writing an entry.
        self._entries = _CountingLRU(maxsize=max(1, self.limit), getsizeof=lambda entry: entry.cost)
        self._loading: dict[Hashable, Future[Any]] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Whether an entry is there; this is no use of it."""
        with self._lock:
            return key in self._entries

    def get(self, key: Hashable, load: Callable[[], tuple[Any, int]], *, keep: Keep = True) -> Any:
        """Return the entry, loading it where it is missing.

        Parameters
        ----------
        key
            Its name.
        load
            Returns the value and its cost in bytes. Called by one thread; the others wait for the same result or
            exception. A load that fails is not remembered.
        keep
            False for a scan over many entries, which would push the useful ones out; "if_room" to push nothing out.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._hits += 1
                return entry.value
            self._misses += 1
            waiting = self._loading.get(key)
            if waiting is None:
                mine = self._loading[key] = Future()
        if waiting is not None:
            return waiting.result()
        return self._load(key, load, mine, keep)

    def _load(self, key: Hashable, load: Callable[[], tuple[Any, int]], mine: "Future[Any]", keep: Keep) -> Any:
        try:
            value, cost = load()
        except BaseException as error:
            with self._lock:
                self._loading.pop(key, None)
            mine.set_exception(error)
            raise
        with self._lock:
            room = self.limit - (self._entries.currsize if keep == "if_room" else 0)
            if keep and cost <= room:
                self._entries[key] = _Entry(value, cost)
            elif keep:
                self._refused += 1
            self._loading.pop(key, None)
        mine.set_result(value)
        return value

    def stats(self) -> dict[str, int]:
        """Figures since the cache was made.

        Returns
        -------
        dict
            `hits` and `misses`; `evictions`; `refused` (loads that were not kept because there was no room); `entries`;
            `bytes` (the sum of the entries' costs, never more than the limit); `limit`.
        """
        with self._lock:
            return {
                "hits": self._hits,
                "misses": self._misses,
                "evictions": self._entries.evictions,
                "refused": self._refused,
                "entries": len(self._entries),
                "bytes": int(self._entries.currsize),
                "limit": self.limit,
            }


_process_cache: ByteCache | None = None


def _forget_process_cache() -> None:
    global _process_cache
    _process_cache = None


_process_lock = ForkLock(_forget_process_cache)


def process_cache() -> ByteCache:
    """Return the cache that all models of this process share; its limit is METAMODEL_CACHE_MB (1024) megabytes."""
    global _process_cache
    with _process_lock:
        if _process_cache is None:
            _process_cache = ByteCache(limit_in_bytes(CACHE_VARIABLE, _DEFAULT_MB))
        return _process_cache


def limit_in_bytes(variable: str, default: int) -> int:
    """Read a limit from an environment variable that holds megabytes.

    Raises
    ------
    InputError
        The variable holds no number, or a negative or infinite one.
    """
    megabytes = os.environ.get(variable, str(default))
    try:
        number = float(megabytes)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(
            f"{variable}={megabytes!r} is no number of megabytes. Set it to 0 or more, or leave it out ({default})."
        )
    return int(number * 2**20)
