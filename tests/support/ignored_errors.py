"""Where Python ignores what is raised: an interruption that strikes there is lost."""

import gc
import time


def busy() -> None:
    """Take longer than the limits that are to strike meanwhile."""
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass


class _Finalized:
    def __del__(self) -> None:
        busy()


def in_a_finalizer() -> None:
    """Be busy while an object is let go."""
    _Finalized()


def in_a_callback_of_the_collector() -> None:
    """Be busy while garbage is looked for."""

    def called(phase: str, info: object) -> None:
        busy()

    gc.freeze()  # what other tests have left is not to be found here
    gc.callbacks.append(called)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(called)
