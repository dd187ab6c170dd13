"""How values and lists of names are shown in messages: short, and on one line."""

import sys
from collections.abc import Iterable

__all__ = ["count", "error_text", "listing", "short", "short_line"]


def short(value: object, limit: int = 60) -> str:
    """Show one value, cut where it is long.

    Examples
    --------
    >>> import numpy as np
    >>> short(np.int64(7)), short("x" * 100, limit=5)
    ('7', "'xxxx...")
    """
    numpy = sys.modules.get("numpy")  # what nobody has imported cannot be here; `metamodel --help` does without
    text = repr(value.item() if numpy and isinstance(value, numpy.generic) else value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def listing(items: Iterable[object], limit: int = 8) -> str:
    """List items behind one another, and count what is left off.

    Examples
    --------
    >>> listing(["a", "b", "c"], limit=2)
    'a, b, ... 1 more'
    """
    items = list(items)
    shown = ", ".join(str(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown}, ... {len(items) - limit:,} more"


def count(number: int, noun: str) -> str:
    """Count things in words.

    Examples
    --------
    >>> count(1, "row"), count(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def error_text(error: BaseException) -> str:
    r"""One line for the ledger: the error's class and the first line of its text.

    Examples
    --------
    >>> error_text(ValueError("Input contains NaN.\nRidge does not accept missing values"))
    'ValueError: Input contains NaN.'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {short_line(lines[0])}" if lines else type(error).__name__


def short_line(text: str, limit: int = 500) -> str:
    """Cut a line of an error that quotes half a table."""
    text = text.encode("utf-8", errors="replace").decode()  # a lone surrogate could not be written to any file
    return text if len(text) <= limit else f"{text[:limit]}..."
