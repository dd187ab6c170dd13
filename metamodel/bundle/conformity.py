"""Whether what was read from JSON is of the types that its dataclass declares: nested, without building anything."""

import dataclasses
import types
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["nonconforming"]


def nonconforming(value: Any, kind: Any, name: str = "") -> str:
    """Name the first part of a value that is not of a declared type; "" where all of it is.

    Parameters
    ----------
    value
        A value, or a dataclass whose fields are looked at.
    kind
        Type, as in an annotation: a class, `Any`, `Literal`, a union, `tuple[X, ...]` or `dict[K, V]`.
    name
        What the value is called.

    Examples
    --------
    >>> nonconforming({"rows": "7"}, dict[str, int], "counts")
    "counts['rows']"
    """
    if _check(kind)(value):
        return ""
    parts = _parts(value, kind, name)
    odd = next(((part, item, hint) for part, item, hint in parts if not _check(hint)(item)), None)
    return name if odd is None else nonconforming(odd[1], odd[2], odd[0])


def _parts(value: Any, kind: Any, name: str) -> list[tuple[str, Any, Any]]:
    """Name what a value is made of: names, values and declared types."""
    if _is_dataclass(kind) and isinstance(value, kind):
        return [(f"{name}.{field}".strip("."), getattr(value, field), hint) for field, hint in _hints(kind).items()]
    if get_origin(kind) is dict and isinstance(value, dict):
        of_key, of_value = get_args(kind)
        keys = [(f"{name}[{key!r}]", key, of_key) for key in value]
        return keys + [(f"{name}[{key!r}]", item, of_value) for key, item in value.items()]
    if get_origin(kind) is tuple and isinstance(value, tuple):
        return [(f"{name}[{i}]", item, get_args(kind)[0]) for i, item in enumerate(value)]
    return []


@cache
def _check(kind: Any) -> Callable[[Any], bool]:
    """Make a function that says whether a value is of a type: made once, because each opening asks for thousands."""
    if _is_dataclass(kind):
        checks = [(field, _check(hint)) for field, hint in _hints(kind).items()]
        return lambda value: isinstance(value, kind) and all(check(getattr(value, name)) for name, check in checks)
    if (origin := get_origin(kind)) in (dict, tuple, Union, types.UnionType):
        return _check_of_parts(origin, get_args(kind))
    if origin is Literal:
        allowed = get_args(kind)
        return lambda value: isinstance(value, str) and value in allowed
    if kind is Any or origin is not None:
        return lambda value: kind is Any
    return (lambda value: type(value) is kind) if kind in (int, bool) else (lambda value: isinstance(value, kind))


def _check_of_parts(origin: Any, args: tuple[Any, ...]) -> Callable[[Any], bool]:
    checks = [_check(kind) for kind in args if kind is not ...]
    if origin is dict:
        of_key, of_value = checks
        return lambda value: isinstance(value, dict) and all(map(of_key, value)) and all(map(of_value, value.values()))
    if origin is tuple:
        return lambda value: isinstance(value, tuple) and all(map(checks[0], value))
    return lambda value: any(check(value) for check in checks)


def _is_dataclass(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
