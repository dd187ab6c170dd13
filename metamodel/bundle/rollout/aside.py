"""Calls in threads of their own, for whose end nobody waits longer than a limit."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from metamodel.common.fork_lock import ForkLock
from metamodel.exceptions import ChallengerFailed

__all__ = ["Aside"]

_T = TypeVar("_T")


class Aside:
    """A few threads; one that hangs is given up, and when all of them hang, calls fail at once.

    Parameters
    ----------
    threads
        How many at most.
    """

    def __init__(self, threads: int = 4) -> None:
        self._most = threads
        self._forget()
        self._lock = ForkLock(self._forget)

    def _forget(self) -> None:
        self._idle: list[_Worker] = []
        self._running = 0
        self._closed = False

    def call(self, function: Callable[[], _T], seconds: float) -> _T:
        """Call a function, and wait.

        Raises
        ------
        ChallengerFailed
            It took too long, or no thread is free.
        """
        with self._lock:
            if not self._idle and self._running >= self._most:
                raise ChallengerFailed("The challenger is busy with earlier calls, and nobody waits for it.")
            if self._idle:
                worker = self._idle.pop()
            else:
                worker, self._running = _Worker(self._done), self._running + 1
        future = worker.begin(function)
        try:
            result: _T = future.result(seconds)
        except TimeoutError as error:
            raise ChallengerFailed(f"The challenger took longer than {seconds:g} s.") from error
        return result

    def close(self) -> None:
        """Let each thread end as soon as it has nothing to do; no call may follow."""
        with self._lock:
            self._closed = True
            for worker in self._idle:
                worker.end()

    def _done(self, worker: "_Worker") -> None:
        with self._lock:
            self._idle.append(worker)
            if self._closed:
                worker.end()


class _Worker:
    """A thread that does one thing after the other, and does not keep its process from ending."""

    def __init__(self, done: Callable[["_Worker"], None]) -> None:
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._done = done
        threading.Thread(target=self._work, name="metamodel-challenger", daemon=True).start()

    def begin(self, function: Callable[[], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        self._asked.put((function, future))
        return future

    def end(self) -> None:
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            function, future = asked
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - it belongs to who asked
                self._done(self)
                future.set_exception(error)
            else:
                self._done(self)
                future.set_result(result)
