"""How values and lists of names are shown in messages, and what may have been meant: short, and on one line."""

import difflib
import sys
from collections.abc import Iterable

from metamodel.common.uris import redacted

__all__ = ["count", "did_you_mean", "error_text", "listing", "short", "short_line"]

# difflib compares every pair of letters: a column's name of a page of text would be waited for.
_LONGEST_NAME = 200


def short(value: object, limit: int = 60) -> str:
    """Show one value in one line, cut where it is long.

    Examples
    --------
    >>> import numpy as np
    >>> short(np.int64(7)), short("x" * 100, limit=5)
    ('7', "'xxxx...")
    """
    numpy = sys.modules.get("numpy")  # what nobody has imported cannot be here; `metamodel --help` does without
    text = repr(value.item() if numpy and isinstance(value, numpy.generic) else value)
    text = " ".join(text.split()) if "\n" in text else text  # a table, or an array
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


def did_you_mean(names: object, known: Iterable[object]) -> str:
    """Say what may have been meant by a name that is none; to be put behind a message.

    Parameters
    ----------
    names
        The name, or several of them.
    known
        The names that there are.

    Returns
    -------
    str
        A sentence with a blank before it, or nothing where no known name is close; capitals and the signs between
        words do not count.

    Examples
    --------
    >>> did_you_mean("Stroe", ["country", "store"]), did_you_mean("week", ["country", "store"])
    (" Did you mean 'store'?", '')
    >>> did_you_mean(["stroe", "salse"], ["store", "sales"])
    " Did you mean 'store' for 'stroe', 'sales' for 'salse'?"
    """
    wanted = [names] if isinstance(names, str) else list(names) if isinstance(names, list | tuple | set) else []
    spelled: dict[str, str] = {}
    for one in known:
        spelled.setdefault(_folded(str(one)), str(one))
    meant = {str(name): spelled[close[0]] for name in wanted if (close := _close(str(name), spelled))}
    if not meant:
        return ""
    if len(wanted) == 1:
        return f" Did you mean {next(iter(meant.values()))!r}?"
    return f" Did you mean {listing(f'{known_name!r} for {name!r}' for name, known_name in meant.items())}?"


def _close(name: str, spelled: Iterable[str]) -> list[str]:
    if len(name) > _LONGEST_NAME:
        return []
    return difflib.get_close_matches(_folded(name), [one for one in spelled if len(one) <= _LONGEST_NAME], 1)


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


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
    return f"{type(error).__name__}: {redacted(short_line(lines[0]))}" if lines else type(error).__name__


def short_line(text: str, limit: int = 500) -> str:
    """Cut a line of an error that quotes half a table."""
    text = text.encode("utf-8", errors="replace").decode()  # a lone surrogate could not be written to any file
    return text if len(text) <= limit else f"{text[:limit]}..."
