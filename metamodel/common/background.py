"""Work that needs no lock of Python's, such as compressing and writing a file, beside what this thread computes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType

__all__ = ["Background", "run_beside"]


class Background(AbstractContextManager["Background"]):
    """One other thread, for as long as a `with` lasts; an error there is raised here, at the latest at its end.

    What it is given must not be changed before `wait`, and be no pandas object that this thread uses, too: to read one
    may rearrange it.

    Examples
    --------
    >>> with Background() as background:
    ...     background.run(print, "there")
    there
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="metamodel-background")
        self._begun: list[Future[object]] = []

    def run(self, function: Callable[..., object], *args: object) -> None:
        """Have a function called once what was given before is done."""
        self._begun.append(self._pool.submit(function, *args))

    def wait(self) -> None:
        """Wait for everything, and raise the first error."""
        begun, self._begun = self._begun, []
        for one in begun:
            one.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait; what has not begun when an error ends the `with` is never done."""
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(cancel_futures=True)


def run_beside(background: Background | None, function: Callable[..., object]) -> None:
    """Have a function called in the background, or here where there is none."""
    if background is None:
        function()
    else:
        background.run(function)
