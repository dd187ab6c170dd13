"""How figures stand in the report: short, and never empty."""

import math
from typing import Any

import pandas as pd

__all__ = ["duration", "number", "p_value", "percent", "size"]

_MISSING = "–"


def number(value: Any) -> str:
    """Show a number with four digits.

    Examples
    --------
    >>> number(1234.5678), number(0.000123456), number(12), number(float("inf")), number(None)
    ('1,235', '0.0001235', '12', '∞', '–')
    """
    if value is None or pd.isna(value):
        return _MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    digits = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
    return digits.replace("-", "−", 1) if value < 0 else digits


def percent(value: Any) -> str:
    """Show a share.

    Examples
    --------
    >>> percent(0.1234), percent(1), percent(-0.5), percent(float("-inf"))
    ('12.3 %', '100 %', '−50 %', '−∞')
    """
    if value is None or pd.isna(value) or math.isinf(value):
        return number(value)
    text = f"{100 * value:,.1f}".removesuffix(".0")
    return f"{text} %".replace("-", "−")


def p_value(value: Any) -> str:
    """Show a p-value; how far below a thousandth it lies says nothing more.

    Examples
    --------
    >>> p_value(1e-9), p_value(0.0312), p_value(1.0)
    ('< 0.001', '0.031', '1')
    """
    if value is None or pd.isna(value):
        return _MISSING
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def duration(seconds: Any) -> str:
    """Show seconds in the unit that suits.

    Examples
    --------
    >>> duration(0.0042), duration(12.3), duration(754), duration(9000)
    ('4.2 ms', '12.3 s', '12.6 min', '2.5 h')
    """
    if seconds is None or pd.isna(seconds):
        return _MISSING
    for limit, factor, unit in ((1, 1e-3, "ms"), (90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{_three_digits(seconds / factor)} {unit}"
    return f"{_three_digits(seconds / 3600)} h"


def size(number_of_bytes: Any) -> str:
    """Show bytes in the unit that suits.

    Examples
    --------
    >>> size(812), size(3_200_000)
    ('812 B', '3.2 MB')
    """
    value = float(number_of_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{_three_digits(value)} {unit}"
        value /= 1000
    return f"{_three_digits(value)} GB"


def _three_digits(value: float) -> str:
    # By itself ".3g" writes a thousand as 1e+03.
    return f"{float(f'{value:.3g}'):g}"
