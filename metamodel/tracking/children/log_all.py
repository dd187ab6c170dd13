"""Log one group after the other, some side by side: measured first, and under one limit."""

import math
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from metamodel.common.messages import count, listing
from metamodel.common.progress import progress_bar, say
from metamodel.exceptions import ChildUnavailable, LoggingFailed, MetaModelError
from metamodel.flavor.remote import Throttle, one_line, requests_sent
from metamodel.tracking.children.destination import Destination
from metamodel.tracking.children.group_facts import Group

__all__ = ["log_groups"]

_MANY = 500

_MEASURED = 3

# Groups that are in memory at the same time.
_TOGETHER = 50

# A server that refuses so many groups refuses the others too.
_MOST_FAILURES = 10


def log_groups(destination: Destination, throttle: Throttle, concurrency: int) -> None:
    """Log every group that the server does not hold yet.

    Parameters
    ----------
    destination
        Where to, and which groups.
    throttle
        Gives turns, and decides about trying again.
    concurrency
        Groups side by side.

    Raises
    ------
    LoggingFailed
        Some groups could not be logged; what was logged stays, and the same call goes on there.
    """
    destination.look()
    facts = destination.facts
    to_log = [group.number for group in facts if not destination.holds(group)]
    what, run = destination.what, destination.run_id
    if len(to_log) > _MANY:
        warnings.warn(
            f"log_children={what!r} sends several requests for each of {len(to_log):,} groups. "
            "The default, 'bundle', logs the same children with no request for a group.",
            stacklevel=2,
        )
    with ThreadPoolExecutor(concurrency) as pool, progress_bar(len(to_log), f"logging {what}") as bar:
        work = _Work(destination, pool)
        started, sent = time.monotonic(), requests_sent()
        first = facts.take(to_log[:_MEASURED])
        work.log(first)
        bar.update(len(first))
        if first:
            each = (time.monotonic() - started) / len(first)
            say(_cost(what, run, len(to_log), (requests_sent() - sent) / len(first), each, throttle))
        for start in range(_MEASURED, len(to_log), _TOGETHER):
            if work.is_vain:
                break
            part = facts.take(to_log[start : start + _TOGETHER])
            work.log(part)
            bar.update(len(part))
    if work.failures:
        raise LoggingFailed(_report(work, len(facts), len(to_log), run))
    destination.tidy()


class _Work:
    def __init__(self, destination: Destination, pool: ThreadPoolExecutor) -> None:
        self.failures: dict[str, BaseException] = {}
        self.done = 0
        self._destination = destination
        self._pool = pool

    @property
    def is_vain(self) -> bool:
        """Whether the groups that are left would fail too."""
        gone = any(isinstance(error, ChildUnavailable) for error in self.failures.values())
        return gone or len(self.failures) >= _MOST_FAILURES

    def log(self, groups: Sequence[Group]) -> None:
        """Log some groups side by side."""
        futures = [(group, self._pool.submit(self._destination.log, group)) for group in groups]
        try:
            errors = {group.encoded: error for group, future in futures if (error := future.exception())}
        finally:
            for _, future in futures:  # where this process is told to stop
                future.cancel()
        self.failures |= errors
        self.done += len(groups) - len(errors)


def _cost(what: str, run: str, groups: int, requests: float, seconds: float, throttle: Throttle) -> str:
    """Say what logging will take, as the first groups took it."""
    rate = 1 / throttle.limiter.interval if throttle.limiter.interval else math.inf
    limit = "" if math.isinf(rate) else f" at no more than {rate:,.3g} requests/s"
    total = groups * max(seconds, requests / rate)
    return (
        f"logging {what}: {count(groups, 'group')}, about {requests:.1f} requests and {seconds:.2f} s a group: "
        f"about {_duration(total)}{limit} (run {run})"
    )


def _duration(seconds: float) -> str:
    """Show a time roughly.

    Examples
    --------
    >>> _duration(8.4), _duration(200), _duration(20_000)
    ('8 s', '3 min', '5.6 h')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _report(work: _Work, total: int, left: int, run: str) -> str:
    by_reason: dict[str, list[str]] = {}
    for key, error in work.failures.items():
        reason = one_line(error) if not isinstance(error, MetaModelError) else str(error).rstrip(".")
        by_reason.setdefault(reason, []).append(key)
    reasons = "; ".join(f"{listing(keys)}: {reason}" for reason, keys in by_reason.items())
    return (
        f"{len(work.failures):,} of {count(total, 'group')} could not be logged, so nothing was registered "
        f"({reasons}). "
        f"Run {run} holds {total - left + work.done:,} of them; log again into it, as with MLFLOW_RUN_ID={run}, "
        "and only what is missing is sent."
    )
