"""Processes for functions that write at once or are killed, ready to work at once: a fork server has imported it all.

`multiprocessing` has one fork server a process, whose first user says what it imports: so all say the same.
"""

import multiprocessing
from multiprocessing.context import ForkServerContext

__all__ = ["ready_processes"]

_IMPORTED = ["killed_compactions", "histories", "deltalake", "hypothesis", "pytest"]


def ready_processes() -> ForkServerContext:
    """Make processes that have imported what those of the prediction log and of a history need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context
