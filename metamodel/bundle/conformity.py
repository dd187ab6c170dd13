"""Whether what was read from JSON is of the types that its dataclass declares: nested, without building anything."""

import dataclasses
import types
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
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, kind):
            return name
        parts = [(f"{name}.{field}".strip("."), getattr(value, field), hint) for field, hint in _hints(kind).items()]
    elif get_origin(kind) is dict and isinstance(value, dict):
        of_key, of_value = get_args(kind)
        parts = [(f"{name}[{key!r}]", key, of_key) for key in value]
        parts += [(f"{name}[{key!r}]", item, of_value) for key, item in value.items()]
    elif get_origin(kind) is tuple and isinstance(value, tuple):
        parts = [(f"{name}[{i}]", item, get_args(kind)[0]) for i, item in enumerate(value)]
    else:
        return "" if _is_plain(value, kind) else name
    return next((odd for part, item, hint in parts if (odd := nonconforming(item, hint, part))), "")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return {field.name: get_type_hints(kind)[field.name] for field in dataclasses.fields(kind)}


def _is_plain(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if kind is Any:
        return True
    if origin is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if origin in (Union, types.UnionType):
        return any(not nonconforming(value, one, "?") for one in get_args(kind))
    if origin is not None:
        return False
    return type(value) is kind if kind in (int, bool) else isinstance(value, kind)
