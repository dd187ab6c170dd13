"""Time for searching: a run's budget shared out over phases, processes and groups, and an alarm that ends a trial.

Times are points of the monotonic clock (`time.monotonic`), which nobody sets and which all processes of a machine
share; `training.engines.spark.searches` brings them to other machines.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from types import FrameType
from typing import Any

from metamodel.common.time_limit import kept_settings, losses_told

__all__ = ["OutOfTime", "Pace", "Search", "alarm", "ends_of_budget", "phase_end"]

# Shares of the budget: until when workers may search, with stacks to build behind them and without, and until when
# children may be stacked. The rest is for collecting and writing the bundle.
_SEARCHED_BEFORE_STACKING, _SEARCHED, _STACKED = 0.9, 0.95, 0.96


class OutOfTime(BaseException):
    """Raised inside a trial whose time is over; no `Exception`, so that no estimator mistakes it for an error."""


@dataclass(frozen=True)
class Search:
    """What one group's search starts from, and when it ends.

    Attributes
    ----------
    first
        Candidate → parameters to try first: its parent's best.
    first_latest
        Latest time that had a say in `first` (`TuningRecord.latest`).
    until
        When this group's share of the time is over.
    latest
        When it ends at the latest, where its share is too short for a few trials: the groups behind it must be fitted
        in time.
    limit
        When it ends in any case, by the limit for one group.
    refusal
        Why this group is not tuned; empty where it is.
    """

    first: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    until: float = math.inf
    latest: float = math.inf
    limit: float = math.inf
    refusal: str = ""
    first_latest: float | None = None


def ends_of_budget(started: float, budget_seconds: float | None, *, stack: bool) -> tuple[float, float]:
    """When the parts of a run that started at `started` have to be over.

    Returns
    -------
    searching, stacking : float
        When workers have to be done, and when the last child may be stacked.

    Examples
    --------
    >>> ends_of_budget(1000.0, 100, stack=True), ends_of_budget(1000.0, None, stack=True)
    ((1090.0, 1096.0), (inf, inf))
    """
    if budget_seconds is None:
        return math.inf, math.inf
    searched = _SEARCHED_BEFORE_STACKING if stack else _SEARCHED
    return started + searched * budget_seconds, started + _STACKED * budget_seconds


def phase_end(phases: Sequence[Sequence[float]], parallelism: int, now: float, end: float) -> float:
    """When the first of several phases has to be done.

    Parameters
    ----------
    phases
        Costs of the groups of every phase that is still to come.
    parallelism
        How many groups are fitted at a time.
    now, end
        Now, and the end of the last phase.

    Examples
    --------
    A global model, which keeps one process busy, before ten groups for two:

    >>> phase_end([[100], [10] * 10], parallelism=2, now=0.0, end=60.0)
    40.0
    """
    if math.isinf(end):
        return end
    walls = [max(max(costs, default=0), sum(costs) / parallelism) for costs in phases]
    total = sum(walls)
    return now + max(0.0, end - now) * walls[0] / total if total else end  # nothing may be left to fit


class Pace:
    """Shares the time of one process out over the groups that it fits one after the other.

    A group's share is its cost's share of the time left, less what the fits without a search are going to take, by what
    they took so far. Time that a group does not use goes to those behind it.

    Parameters
    ----------
    costs
        Of the groups of this process, in order.
    end
        When all of them have to be done.
    first
        Number of the first group; the others are numbered on from there.
    clock
        Tells the time.
    """

    def __init__(
        self, costs: Sequence[float], end: float, first: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Costs of all groups before each one.
        self._costs = [0.0, *accumulate(costs)]
        self._end = end
        self._first = first
        self._clock = clock
        self._done = 0
        self._fitting = 0.0

    def next(self, number: int) -> tuple[float, float]:
        """Say until when a group may search (`Search.until`, `Search.latest`)."""
        if math.isinf(self._end):
            return math.inf, math.inf
        position = number - self._first
        left = self._costs[-1] - self._costs[position]
        cost = self._costs[position + 1] - self._costs[position]
        fitted = self._costs[self._done]
        rate = self._fitting / fitted if fitted else 0.0
        now = self._clock()
        free = max(0.0, self._end - now - rate * (left - cost))
        return now + free * cost / left, now + free

    def done(self, number: int, seconds: float) -> None:
        """Note how long a group took apart from its search; a group that was noted before does not count again."""
        position = number - self._first
        if position == self._done:
            self._done += 1
            self._fitting += max(0.0, seconds)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` inside the block when it takes too long.

    Python code and libraries that return to it now and then are interrupted; a single call into native code ends first.
    Outside the main thread, and where the system has no timers, nothing is interrupted.
    """
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or math.isinf(seconds):
        yield
        return

    over = False

    def ring(number: int, frame: FrameType | None) -> None:
        if not over:
            raise OutOfTime

    def ring_again() -> None:
        if not over:  # whoever handles the signal behind the block did not ask for it
            signal.setitimer(signal.ITIMER_REAL, 1e-3)

    with kept_settings(), losses_told(OutOfTime, ring_again):
        earlier_handler = signal.signal(signal.SIGALRM, ring)
        started = time.monotonic()
        # Somebody else's alarm, if there is one, is set again for what is left of it.
        others, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        try:
            yield
        finally:
            over = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, earlier_handler)
            if others:
                signal.setitimer(signal.ITIMER_REAL, max(1e-3, others - (time.monotonic() - started)), interval)
