"""The small language of a gate's rules: conditions on values, changes of columns, bounds of figures."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import short
from metamodel.common.validation import is_number
from metamodel.exceptions import InputError

__all__ = ["Bound", "Change", "Condition", "parse_bound", "parse_change", "parse_condition"]

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}

_CONDITION = re.compile(r"(>=|<=|==|!=|>|<)\s*(.+)")

_CHANGE = re.compile(r"([+\-*])\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(%?)")

_RATIO = re.compile(r"(\d+(?:\.\d*)?)\s*[x×]")


@dataclass(frozen=True)
class Condition:
    """What a value has to be.

    Attributes
    ----------
    text
        As the rules say it.
    sign
        A comparison, "in", or "not null".
    value
        What is compared with: a number, a text, or a tuple of these.
    """

    text: str
    sign: str
    value: Any = None

    def holds(self, values: pd.Series) -> AnyArray:
        """Say of each value whether the condition holds, shape (n_rows,); of a missing one it never does.

        Raises
        ------
        InputError
            Values of this kind have no order.
        """
        there: AnyArray = values.notna().to_numpy()
        if self.sign == "not null":
            return there
        if self.sign == "in":
            return there & values.isin(list(self.value)).to_numpy()
        present = values[there]
        if is_number(self.value) and not pd.api.types.is_bool_dtype(values):
            present = present if pd.api.types.is_numeric_dtype(present) else _numbers(present)
        try:
            right = np.asarray(_OPERATORS[self.sign](present, self.value), dtype=bool)
        except TypeError as error:
            raise InputError(
                f"{self.text!r} compares {short(self.value)} with values of {values.name!r}, which are of another kind "
                f"({values.dtype}). Correct the rule."
            ) from error
        holds = np.zeros(len(values), dtype=bool)
        holds[there] = right
        return holds


def _numbers(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    return numbers if numbers.notna().all() else values


def parse_condition(value: Any) -> Condition:
    """Read a condition.

    Parameters
    ----------
    value
        A text such as ``">= 0"`` or ``"not null"``; a list of values, of which it has to be one; or the value itself.

    Examples
    --------
    >>> parse_condition("> 0").holds(pd.Series([1.0, 0.0, None])).tolist()
    [True, False, False]
    >>> parse_condition(["FR", "DE"]).holds(pd.Series(["FR", "IT"])).tolist()
    [True, False]
    """
    if isinstance(value, list):
        return Condition(str(value), "in", tuple(value))
    if isinstance(value, str):
        if value.strip() == "not null":
            return Condition(value, "not null")
        if match := _CONDITION.fullmatch(value.strip()):
            return Condition(value.strip(), match[1], _plain(match[2]))
    return Condition(f"== {value}", "==", value)


def _plain(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip().strip("'\"")


@dataclass(frozen=True)
class Change:
    """What is done to a column.

    Attributes
    ----------
    text
        As the rules say it.
    kind
        "shuffle", "+" (add), "*" (multiply) or "set".
    value
        What is added, multiplied by, or set.
    """

    text: str
    kind: str
    value: Any = None

    def applied(self, values: pd.Series, random_state: int = 0) -> pd.Series:
        """Change a column; the same index.

        Raises
        ------
        InputError
            It should be calculated with, but holds no numbers.
        """
        if self.kind == "shuffle":
            order = np.random.default_rng(random_state).permutation(len(values))
            return pd.Series(values.array[order], index=values.index, name=values.name)
        if self.kind == "set":
            return pd.Series([self.value] * len(values), index=values.index, name=values.name)
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            raise InputError(
                f"{self.text!r} cannot change {values.name!r}, which holds no numbers ({values.dtype}). "
                "Use shuffle, or a value."
            )
        return values + self.value if self.kind == "+" else values * self.value


def parse_change(value: Any) -> Change:
    """Read a change: ``"shuffle"``, ``"+10%"``, ``"-3"``, ``"*2"``; anything else is the value that the column gets.

    Examples
    --------
    >>> parse_change("+10%").applied(pd.Series([10.0, 20.0])).round(9).tolist()
    [11.0, 22.0]
    >>> parse_change("FR").applied(pd.Series(["DE", "IT"])).tolist()
    ['FR', 'FR']
    """
    text = str(value).strip()
    if isinstance(value, str) and text == "shuffle":
        return Change(text, "shuffle")
    match = _CHANGE.fullmatch(text) if isinstance(value, str) else None
    if match is None:
        return Change(f"= {value}", "set", value)
    sign, number = match[1], float(match[2])
    if match[3]:
        share = number / 100
        return Change(text, "*", share if sign == "*" else 1 + share if sign == "+" else 1 - share)
    return Change(text, "*", number) if sign == "*" else Change(text, "+", number if sign == "+" else -number)


@dataclass(frozen=True)
class Bound:
    """How large or small a figure may be.

    Attributes
    ----------
    number
        The limit.
    sign
        ">=", or "<=", or "" where the figure itself knows which.
    relative
        Whether it is a multiple of the champion's figure.
    """

    number: float
    sign: str = ""
    relative: bool = False

    def __str__(self) -> str:
        return f"{self.sign} {self.number:g}{'x' if self.relative else ''}".strip()


def parse_bound(value: Any) -> Bound | None:
    """Read a bound: a number, ``">= 0.5"``, ``"<= 12"``, or ``"1.2x"``; None where it is none of these.

    Examples
    --------
    >>> str(parse_bound("1.2x")), str(parse_bound(">= 0.5")), parse_bound("much")
    ('<= 1.2x', '>= 0.5', None)
    """
    if is_number(value):
        return Bound(float(value))
    text = value.strip() if isinstance(value, str) else ""
    if match := _RATIO.fullmatch(text):
        return Bound(float(match[1]), "<=", relative=True)
    sign, number = text[:2], text[2:].strip()
    if sign in (">=", "<="):
        try:
            return Bound(float(number), sign)
        except ValueError:
            return None
    return None
