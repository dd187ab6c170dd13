"""Turns: who may send the next request, and when.

The threads of a process share a `RateLimiter`, the processes of a machine `MachineTurns` besides. Machines do not see
each other: each of their processes has its part of the rate, and begins at a moment of its own.
"""

import contextlib
import hashlib
import math
import os
import platform
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from metamodel.common.fork_lock import ForkLock
from metamodel.common.user_cache import check_private, private_directory
from metamodel.exceptions import ChildUnavailable

__all__ = ["LONGEST_WAIT", "MachineTurns", "RateLimiter", "first_delay"]

LONGEST_WAIT = 30.0

# Processes that do not see each other begin within so many of their intervals. Their number in the first second is then
# 2/5 of the rate on average, so that it is below the rate also where chance heaps them.
_SPREAD = 2.5

_MOMENT = struct.Struct("d")

# A moment so far away was written before the machine was started anew: its processes share a clock that counts from
# then, so that nobody's setting of the time of day matters.
_TOO_FAR = 600.0

# A turn is taken within microseconds; seconds are for a machine that was suspended.
_LONGEST_LOCK = 10.0


def first_delay(key: str, interval: float) -> float:
    """Seconds that follow from a group's key, the same in every process: from 0 to `interval`.

    Examples
    --------
    >>> first_delay('["FR",7]', 2.5) == first_delay('["FR",7]', 2.5), 0 <= first_delay('["DE",1]', 2.5) < 2.5
    (True, True)
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return interval * number / 2**64


class RateLimiter:
    """Gives turns to the threads of a process, evenly spaced (the generic cell rate algorithm without a burst).

    Parameters
    ----------
    rate
        Turns a second.
    machine
        Turns of all processes of this machine, which a turn of this process waits for too.
    clock, sleep
        For tests.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        machine: "MachineTurns | None" = None,
    ) -> None:
        self.interval = 1 / rate
        self._machine = machine
        self._clock = clock
        self._sleep = sleep
        self._lock = ForkLock()
        self._next: float | None = None
        self._paused_until = -math.inf
        self._answered = -math.inf
        self._given_up: dict[str, tuple[float, float]] = {}

    def wait(self, key: str = "", longest: float = math.inf) -> float:
        """Wait for the next turn; `key` decides how long the first one of the process is put off.

        Returns
        -------
        float
            How many seconds of it were due to this process's own pace, and not to the server or other processes.

        Raises
        ------
        ChildUnavailable
            A pause, or the queue of other processes, lasts longer than `longest` seconds; no turn is taken.
        """
        with self._lock:
            now = self._clock()
            if self._next is None:
                self._next = now + first_delay(key, _SPREAD * self.interval)
            if self._paused_until - now > longest:
                raise ChildUnavailable(f"the server wants to be left alone for {self._paused_until - now:.0f} s more")
            own_delay = max(0.0, self._next - now)
            turn = max(self._next, self._paused_until, now)
            self._next = turn + self.interval
        if turn > now:
            self._sleep(turn - now)
        if self._machine is not None:
            self._wait_for_others(self._machine, longest)
        return own_delay

    def _wait_for_others(self, machine: "MachineTurns", longest: float) -> None:
        # Asked for only now: who took it earlier would hold a turn that others could use meanwhile.
        try:
            seconds = machine.take(longest)
        except (
            OSError
        ):  # the disk is full or gone, or somebody keeps the lock: the process has its own part of the rate
            self._machine = None
            return
        if seconds > longest:
            raise ChildUnavailable(f"the server is busy with other processes for {seconds:.0f} s more")
        if seconds > 0:
            self._sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Give no turn for some time."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)
        if self._machine is not None:
            with contextlib.suppress(OSError):
                self._machine.pause(seconds)

    def answered(self) -> None:
        """Note that the server has answered."""
        with self._lock:
            self._answered = self._clock()

    def given_up(self, patience: float, what: str = "") -> bool:
        """Whether a call that was as patient has just been left unanswered, so that nobody needs to try.

        Parameters
        ----------
        patience
            Seconds.
        what
            What would be asked for; "" for anything.
        """
        with self._lock:
            until, in_vain = self._given_up.get(what, (-math.inf, 0.0))
            return patience <= in_vain and self._clock() < until

    def give_up(self, patience: float, what: str = "", began: float = math.inf) -> None:
        """Note that a call that is so patient was not answered.

        Parameters
        ----------
        patience
            Seconds.
        what
            What was asked for: it alone is left alone where others were answered meanwhile, else the server is.
        began
            When the call began.
        """
        with self._lock:
            now = self._clock()
            what = what if self._answered > began else ""
            self._given_up = {name: known for name, known in self._given_up.items() if now < known[0]}
            _, before = self._given_up.get(what, (0.0, 0.0))
            self._given_up[what] = (now + LONGEST_WAIT, max(patience, before))

    def now(self) -> float:
        """Tell the time."""
        return self._clock()


class MachineTurns:
    """Evenly spaced turns of all processes of a machine: a locked file says when the next request may be sent.

    Parameters
    ----------
    directory
        Where the file is; made if need be. Machines that share it have a file each.
    server
        Whose turns these are.
    rate
        Turns a second, of all together.
    clock
        For tests.

    Raises
    ------
    OSError
        The directory cannot be written, or its files not be locked.
    """

    def __init__(self, directory: Path, server: str, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate
        self._clock = clock
        name = hashlib.sha256(f"{platform.node()} {server} {rate!r}".encode()).hexdigest()
        self._path = directory / name
        self.take(longest=-1.0)  # a first try, that takes nothing

    def take(self, longest: float) -> float:
        """Return the seconds until the next turn, which is taken; if they are more than `longest`, nothing is taken."""
        return self._move(lambda now, moment: max(now, moment), longest)

    def pause(self, seconds: float) -> None:
        """Give no turn for some time."""
        self._move(lambda now, moment: max(now + seconds, moment) - self._interval, float("inf"))

    def _move(self, turn_of: Callable[[float, float], float], longest: float) -> float:
        with self._locked() as file:
            now, content = self._clock(), file.read(_MOMENT.size)
            moment: float = _MOMENT.unpack(content)[0] if len(content) == _MOMENT.size else now
            turn = turn_of(now, moment if moment - now < _TOO_FAR else now)
            if turn - now <= longest:
                file.seek(0)
                file.write(_MOMENT.pack(turn + self._interval))
            return turn - now

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """Hold the file, which whoever clears the directory may have taken away."""
        private_directory(self._path.parent)
        check_private(self._path)
        lock = check_private(self._path.with_name(f"{self._path.name}.lock"))
        # A turn is taken within microseconds, so whoever waits looks again soon.
        with (
            FileLock(lock, timeout=_LONGEST_LOCK, mode=0o600, poll_interval=0.001),
            open(self._path, "r+b", buffering=0, opener=_or_new) as file,
        ):
            yield file


def _or_new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o600)
