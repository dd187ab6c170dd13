"""What libraries do for nothing where tests alone look on: the same answers and files, sooner."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["asked_once", "asked_once_a_model", "by_class", "spare_the_disk", "unless_array"]


def unless_array(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Say no of every array of NumPy, and of everything else what a check says."""

    @functools.wraps(check)
    def checked(thing: Any) -> bool:
        return type(thing) is not np.ndarray and check(thing)

    return checked


def by_class(has: Callable[[Any, str], bool], *kinds: type) -> Callable[[Any, str], bool]:
    """Look through the classes of some kinds of objects once for an attribute, and ask of everything else each time."""

    @functools.cache
    def of_class(kind: type, name: str) -> bool:
        return any(name in vars(base) for base in kind.__mro__)

    @functools.wraps(has)
    def checked(thing: Any, name: str) -> bool:
        if type(thing) in kinds:
            return name in vars(thing) or of_class(type(thing), name)
        return has(thing, name)

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


def asked_once_a_model(check: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    """Let MLflow look once in a store of a file whether a registered model is a prompt, which none becomes.

    It looks before it reads or changes anything of the model, and all versions of the model are read for that.
    """
    models: set[tuple[str, str]] = set()

    @functools.wraps(check)
    def checked(client: Any, name: str) -> None:
        store = client._registry_uri
        if (store, name) not in models:
            check(client, name)
            if store.startswith("sqlite:"):
                models.add((store, name))

    return checked


def spare_the_disk() -> None:
    """Let stores of this process not wait for the disk after each change: no test cuts the power."""
    from sqlalchemy import Engine, event

    event.listen(Engine, "connect", _trust_the_system)


def _trust_the_system(connection: Any, _: object) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous=OFF")
