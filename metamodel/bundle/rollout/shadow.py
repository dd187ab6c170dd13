"""A challenger in the shadow: asked behind the caller's back, for many calls at once, never in anybody's way.

Calls are gathered for a second and answered together: asking for each row by itself would take the interpreter from the
answers that somebody waits for, again and again. What waits is bounded; more is dropped, and counted.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from metamodel.common.fork_lock import ForkLock
from metamodel.common.messages import error_text
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.answers import Answers, ShadowAnswer
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import GroupKey

__all__ = ["Shadow"]

_Read = tuple[Grouping, FeatureColumns]

_GATHERED_SECONDS = 1.0

_MOST_WAITING_ROWS = 100_000


class _Asked(NamedTuple):
    read: _Read
    options: PredictOptions
    answer: ShadowAnswer

    @property
    def rows(self) -> int:
        return len(self.read[0].codes)


class Shadow:
    """Asks a challenger in a thread.

    Parameters
    ----------
    ask
        The challenger's `answer`, by what is read and the options.
    seconds
        How long calls are gathered.
    most_rows
        Rows that may wait.

    Attributes
    ----------
    answered, failed, dropped
        Rows.
    """

    def __init__(
        self,
        ask: Callable[[_Read, PredictOptions], Answers],
        seconds: float = _GATHERED_SECONDS,
        most_rows: int = _MOST_WAITING_ROWS,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._most_rows = most_rows
        self.answered = self.failed = self.dropped = 0
        self._forget()
        self._lock = ForkLock(self._forget)

    def _forget(self) -> None:
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()  # None is its end
        self._waiting = 0
        self._started = False

    def ask_now(self, read: _Read, options: PredictOptions) -> ShadowAnswer:
        """Ask for some rows, and wait for the answer."""
        answer = ShadowAnswer()
        self._answer([_Asked(read, _asked_options(options), answer)])
        return answer

    def offer(self, read: _Read, options: PredictOptions) -> ShadowAnswer:
        """Ask for some rows, some time; returns at once."""
        answer = ShadowAnswer()
        asked = _Asked(read, _asked_options(options), answer)
        with self._lock:
            if self._waiting + asked.rows > self._most_rows:
                self.dropped += asked.rows
                answer.fail("dropped: the challenger does not keep up")
                return answer
            self._waiting += asked.rows
            if not self._started:
                self._started = True
                threading.Thread(target=self._work, args=(self._queue,), name="metamodel-shadow", daemon=True).start()
        self._queue.put(asked)
        return answer

    @property
    def is_asking(self) -> bool:
        """Whether rows wait for the challenger."""
        return self._waiting > 0

    def close(self) -> None:
        """Let the thread end, after the rows that wait."""
        self._queue.put(None)

    def _work(self, asked: "queue.SimpleQueue[_Asked | None]") -> None:
        is_open = True
        while is_open:
            gathered = [asked.get()]
            time.sleep(self._seconds)
            while not asked.empty():
                gathered.append(asked.get())
            is_open = None not in gathered
            for together in _together([call for call in gathered if call is not None]):
                self._answer(together)
                with self._lock:
                    self._waiting -= sum(asked.rows for asked in together)

    def _answer(self, together: Sequence[_Asked]) -> None:
        rows = sum(asked.rows for asked in together)
        try:
            answers = self._ask(_joined([asked.read for asked in together]), together[0].options)
            statuses = answers.statuses
        except Exception as error:  # noqa: BLE001 - whatever a challenger does is its own affair
            self.failed += rows
            for asked in together:
                asked.answer.fail(error_text(error))
        else:
            self.answered += rows
            start = 0
            for asked in together:
                stop = start + asked.rows
                asked.answer.fill(answers.prediction[start:stop], statuses[start:stop])
                start = stop


@cache
def _asked_options(options: PredictOptions) -> PredictOptions:
    """Ask for predictions alone; whatever the caller wants to know, an unknown group is no error here."""
    return PredictOptions(unknown="null" if options.unknown == "error" else options.unknown)


def _together(gathered: Sequence[_Asked]) -> list[list[_Asked]]:
    """Put calls together that can be asked as one: rows of plain numbers, with the same options."""
    alike: dict[PredictOptions, list[_Asked]] = {}
    alone: list[list[_Asked]] = []
    for asked in gathered:
        columns = asked.read[1]
        if columns.matrix is None or columns.problems or columns.odd is not None:
            alone.append([asked])
        else:
            alike.setdefault(asked.options, []).append(asked)
    return [*alike.values(), *alone]


def _joined(reads: Sequence[_Read]) -> _Read:
    if len(reads) == 1:
        return reads[0]
    keys: list[GroupKey] = []
    places: dict[object, int] = {}
    codes = []
    for grouping, _ in reads:
        of_keys = []
        for key in grouping.keys:
            mark = key if isinstance(key, tuple) else id(key)
            place = places.setdefault(mark, len(places))
            if place == len(keys):
                keys.append(key)  # type: ignore[arg-type]  # or the error of one that is none
            of_keys.append(place)
        codes.append(np.array(of_keys, dtype=np.int64)[grouping.codes])
    matrix = np.concatenate([columns.matrix for _, columns in reads if columns.matrix is not None])
    return Grouping(list(keys), np.concatenate(codes)), FeatureColumns(list(matrix.T), {}, reads[0][1].schema, matrix)
