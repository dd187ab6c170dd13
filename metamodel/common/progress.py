"""Progress bars, on stderr: counts of fitted, skipped and failed groups, and the time left."""

import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tqdm.auto import tqdm

__all__ = ["TrainingProgress", "progress_bar", "say"]

# Without a terminal (a log file, CI) a line now and then is enough, and a short run needs none.
_LOG_SECONDS = 15.0


class TrainingProgress:
    """Counts finished groups.

    Parameters
    ----------
    total
        Number of groups, parents included.
    """

    def __init__(self, total: int) -> None:
        self._counts: Counter[str] = Counter()
        self._bar = tqdm(total=total, desc="training", **_manner())

    def add(self, statuses: Sequence[str]) -> None:
        """Count a task's groups."""
        self._counts.update(statuses)
        shown = {status: self._counts[status] for status in ("fitted", "skipped", "failed")}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(len(statuses))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def progress_bar(total: int, what: str) -> Any:
    """Make a bar that its owner moves: a context manager with `update(groups)`."""
    return tqdm(total=total, desc=what, **_manner())


def say(line: str) -> None:
    """Print a line on stderr, past the bar that may be there."""
    tqdm.write(line, file=sys.stderr)


def _manner() -> dict[str, Any]:
    interactive = sys.stderr.isatty() or _in_notebook()
    delay = 0.0 if interactive else _LOG_SECONDS
    return {"unit": "group", "mininterval": max(0.2, delay), "delay": delay, "leave": interactive}


def _in_notebook() -> bool:
    # Many programs import IPython; only in its own shells and kernels there is one running.
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None
