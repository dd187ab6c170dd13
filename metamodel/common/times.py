"""Lengths of time as people write them (`8w`), and points of a time column as texts that can be read back."""

import datetime as dt
import re

import numpy as np

from metamodel.common.messages import count, short
from metamodel.exceptions import InputError

__all__ = ["duration_text", "microseconds_in", "time_number", "time_text"]

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([wdhms])")

# What a length is told in, the longest unit that it holds twice; the microseconds of each.
_TOLD = {"week": 604_800_000_000, "day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000}


def microseconds_in(value: object, name: str) -> int | None:
    """Read a length of time in microseconds; None stays None.

    Parameters
    ----------
    value
        A text such as "8w", "10d" or "12h", or a `timedelta`.
    name
        Of the option, for the message.

    Raises
    ------
    InputError
        It is no length of time above 0.

    Examples
    --------
    >>> microseconds_in("2h", "max_age")
    7200000000
    """
    if value is None or value == "":
        return None
    length = value if isinstance(value, dt.timedelta) else None
    if isinstance(value, str) and (written := _WRITTEN.fullmatch(value.strip())):
        length = dt.timedelta(**{_UNITS[written[2]]: float(written[1])})
    if length is None or length <= dt.timedelta(0):
        raise InputError(f'{name}={short(value)} is no length of time. Give one such as "8w", "10d" or "12h".')
    return length // dt.timedelta(microseconds=1)


def duration_text(microseconds: int) -> str:
    """Tell a length of time.

    Examples
    --------
    >>> duration_text(9 * 604_800_000_000), duration_text(90_000_000)
    ('9 weeks', '90 seconds')
    """
    for unit, length in _TOLD.items():
        if microseconds >= 2 * length:
            return count(microseconds // length, unit)
    return count(microseconds // 1_000_000, "second")


def time_text(number: float | int) -> str:
    """Write a point of a time column, as `metamodel.evaluation.splits.time_order` has it: microseconds, or a number.

    Examples
    --------
    >>> time_text(np.int64(1_000_000)), time_text(np.float64(104))
    ('1970-01-01T00:00:01.000000', '104.0')
    """
    if isinstance(number, float | np.floating):
        return repr(float(number))
    return str(np.datetime64(int(number), "us"))


def time_number(text: str) -> float | int | None:
    """Inverse of `time_text`; None where there is no point of time.

    Examples
    --------
    >>> time_number("1970-01-01T00:00:01.000000"), time_number("104.0"), time_number("")
    (1000000, 104.0, None)
    """
    if not text:
        return None
    return int(np.datetime64(text, "us").astype(np.int64)) if "T" in text else float(text)
