"""What libraries do for nothing where tests alone look on: the same answers and files, sooner."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["asked_once", "spare_the_disk", "unless_array"]


def unless_array(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Say no of every array of NumPy, and of everything else what a check says."""

    @functools.wraps(check)
    def checked(thing: Any) -> bool:
        return type(thing) is not np.ndarray and check(thing)

    return checked


def asked_once(kind: type, found: type) -> Callable[[Any, str], Any]:
    """Look up an attribute as a class does, and keep on the object what is of a kind that stays as it is.

    Before each of a training's thousand calls PySpark asks Java twice: whether there is a class of functions, and
    whether it has this one.
    """
    ask = kind.__getattr__  # type: ignore[attr-defined]  # py4j's have one

    def attribute(self: Any, name: str) -> Any:
        thing = ask(self, name)
        if isinstance(thing, found):
            self.__dict__[name] = thing
        return thing

    return attribute


def spare_the_disk() -> None:
    """Let stores of this process not wait for the disk after each change: no test cuts the power."""
    from sqlalchemy import Engine, event

    event.listen(Engine, "connect", _trust_the_system)


def _trust_the_system(connection: Any, _: object) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous=OFF")
