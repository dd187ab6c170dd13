"""What the values of options may be: each check says what a value is not, and what to give instead."""

import math
from typing import Any

from metamodel.common.option import Check
from metamodel.common.validation import is_number, is_whole

__all__ = ["HOLDOUT_SHARE", "auto_switch", "positive_or_all", "seconds", "seed", "share", "switch", "whole"]


def whole(least: int, what: str, remedy: str) -> Check:
    """Let an option be a whole number of at least so much."""

    def check(value: Any) -> str:
        return "" if is_whole(value, least) else f"no {what}. {remedy}"

    return check


def share(*, zero: bool, what: str, remedy: str) -> Check:
    """Let an option be a number between 0 and 1, without 1; 0 where it may be none."""

    def check(value: Any) -> str:
        fits = is_number(value) and (0 < value < 1 or (zero and value == 0))
        return "" if fits else f"no {what}. {remedy}"

    return check


HOLDOUT_SHARE = share(zero=True, what="share of the rows", remedy="Use a number from 0 (none) to below 1.")


def positive_or_all(value: Any) -> str:
    """Let an option be a number of processes, or -1."""
    fits = is_whole(value, -1) and value != 0
    return "" if fits else "no process count. Use a positive number, or -1 for every core."


def seconds(value: Any) -> str:
    """Let an option be a length of time."""
    fits = is_number(value) and value > 0 and math.isfinite(value)
    return "" if fits else "no time limit. Use a number of seconds above 0, or None."


def seed(value: Any) -> str:
    """Let an option be a seed."""
    fits = is_whole(value, 0) and value < 2**32  # what NumPy takes
    return "" if fits else "no seed. Use a whole number from 0 to 2**32 - 1."


def switch(value: Any) -> str:
    """Let an option be true or false."""
    return "" if isinstance(value, bool) else "neither true nor false."


def auto_switch(value: Any) -> str:
    """Let an option be true, false, or decided by the rest."""
    return "" if isinstance(value, bool) or value == "auto" else "neither true, false nor auto."
