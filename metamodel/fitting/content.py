"""Describe an estimator in full, the same in every process: its parameters, and the code that its caller may change.

What an installed package defines goes by its name. What a notebook, a script or a module of the caller's own defines
goes by its code too: methods, bases, constants, and the functions and classes that it calls, as far as their names
can be followed. A class that was edited is another one, though it is still called the same.
"""

import copyreg
import dis
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from metamodel.fitting.installed_modules import is_installed

__all__ = ["content", "has_callers_code", "named_modules"]

# What Python itself writes into a class, and what says only where or how its source stands.
_NOT_OF_A_CLASS = {
    "__annotations__",
    "__abstractmethods__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__slotnames__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
    "_sklearn_auto_wrap_output_keys",
}


def content(value: Any) -> Any:
    """Describe an estimator, or one of its parameters, as something that JSON can hold.

    Parameters
    ----------
    value
        Anything; a function or a class is described by its name, and by its code where it is the caller's own.

    Examples
    --------
    >>> content({"alpha": [1, 2.5], "how": np.log1p})
    {"'alpha'": [1, 2.5], "'how'": ['numpy.log1p']}
    """
    return _Description().of(value)


def named_modules(value: Any) -> set[str]:
    """Top-level packages that an estimator's classes and functions come from, or that its caller's own code imports.

    Examples
    --------
    >>> sorted(named_modules({"how": np.log1p, "then": hashlib.sha256}))
    ['_hashlib', 'numpy']
    """
    description = _Description()
    description.of(value)
    return {name.partition(".")[0] for name in description.modules}


def has_callers_code(value: Any) -> bool:
    """Whether an estimator is made of code that no installed package brings: of a notebook, a script, a module."""
    description = _Description()
    description.of(value)
    return any(not is_installed(name) for name in description.modules)


class _Description:
    """One walk through a value; what was met before is told by its name, so that circles end."""

    def __init__(self) -> None:
        self._met: set[int] = set()
        self.modules: set[str] = set()

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, bytes | bytearray | complex | range | slice | np.generic | np.dtype):
            return repr(value)
        if isinstance(value, list | tuple | set | frozenset | dict | np.ndarray):
            return self._of_container(value)
        if isinstance(value, np.ufunc) or hasattr(value, "__qualname__"):
            return self._of_callable(value)
        return self._of_object(value)

    def _of_container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {repr(name): self.of(item) for name, item in value.items()}
        if isinstance(value, np.ndarray) and value.dtype != object:
            return [value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
        items = [self.of(item) for item in (value.tolist() if isinstance(value, np.ndarray) else value)]
        return sorted(items, key=json.dumps) if isinstance(value, set | frozenset) else items

    def _of_object(self, value: Any) -> list[Any]:
        if id(value) in self._met:
            return [_path(type(value)), "..."]
        self._met.add(id(value))
        return [*self._of_callable(type(value)), self._state(value)]

    def _state(self, value: Any) -> Any:
        if isinstance(value, functools.partial):
            return self.of([value.func, value.args, value.keywords])
        if hasattr(value, "get_params"):
            return self.of(value.get_params(deep=False))
        if state := getattr(value, "__dict__", None):
            return self.of(dict(state))
        reduce: Callable[[Any], Any] = copyreg.dispatch_table.get(type(value), _reduced)
        try:
            reduced = reduce(value)
        except TypeError:  # it cannot be pickled; then its class says what it is
            return []
        return reduced if isinstance(reduced, str) else self.of(list(reduced[1:3]))

    def _of_callable(self, value: Any) -> list[Any]:
        if isinstance(value, MethodType):
            return [*self._of_callable(value.__func__), self.of(value.__self__)]
        self._note(value)
        if id(value) in self._met or not _is_the_callers(value):
            return [_path(value)]
        self._met.add(id(value))
        if isinstance(value, type):
            return [_path(value), self._of_class(value)]
        return [_path(value), *self._of_function(value)] if isinstance(value, FunctionType) else [_path(value)]

    def _note(self, value: Any) -> None:
        """Remember where a class or a function comes from."""
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        self.modules |= {name} if isinstance(name, str) else {"numpy"} if isinstance(value, np.ufunc) else set()

    def _of_class(self, cls: type) -> list[Any]:
        members = {name: self._of_member(member) for name, member in vars(cls).items() if name not in _NOT_OF_A_CLASS}
        return [[self._of_callable(base) for base in cls.__bases__], members]

    def _of_member(self, member: Any) -> Any:
        if isinstance(member, staticmethod | classmethod):
            return self.of(member.__func__)
        if isinstance(member, property):
            return [self.of(part) for part in (member.fget, member.fset, member.fdel)]
        if isinstance(member, functools.cached_property):
            return self.of(member.func)
        return self.of(member)

    def _of_function(self, function: FunctionType) -> list[Any]:
        enclosed = [self.of(cell.cell_contents) for cell in function.__closure__ or () if _is_filled(cell)]
        defaults = [self.of(function.__defaults__), self.of(function.__kwdefaults__)]
        return [self._of_code(function.__code__), enclosed, *defaults, self._named(function)]

    def _of_code(self, code: CodeType) -> list[Any]:
        self.modules |= {one.argval for one in dis.get_instructions(code) if one.opname == "IMPORT_NAME"} - {""}
        constants = [
            self._of_code(value) if isinstance(value, CodeType) else _constant(value) for value in code.co_consts
        ]
        return [hashlib.sha256(code.co_code).hexdigest(), list(code.co_names), constants]

    def _named(self, function: FunctionType) -> dict[str, Any]:
        """Describe what the function's names stand for: constants, and the caller's own functions and classes."""
        names = sorted(set(_names(function.__code__)))
        named: dict[str, Any] = {}
        for name in names:
            value = function.__globals__.get(name, sys.modules.get(name))
            if isinstance(value, ModuleType) or callable(value):
                self._note(value)
            if isinstance(value, ModuleType):
                named |= self._of_module(value, names)
            elif _is_data(value) or (callable(value) and _is_the_callers(value)):
                named[name] = self.of(value)
        return named

    def _of_module(self, module: ModuleType, names: list[str]) -> dict[str, Any]:
        """Describe what is taken from a module of the caller's own: ``helpers.scale``."""
        if is_installed(module.__name__):
            return {}
        taken = {name: vars(module)[name] for name in names if name in vars(module)}
        return {
            f"{module.__name__}.{name}": self.of(value)
            for name, value in taken.items()
            if _is_data(value) or (callable(value) and _is_the_callers(value))
        }


def _reduced(value: Any) -> Any:
    return value.__reduce_ex__(4)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _names(value)


def _constant(value: Any) -> Any:
    # A set's order differs from process to process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def _is_data(value: Any) -> bool:
    """Whether a name stands for a plain value, such as a constant of the module."""
    return isinstance(value, str | int | float | bool | tuple | list | dict | set | frozenset | np.ndarray)


def _is_the_callers(value: Any) -> bool:
    module = getattr(value, "__module__", None)
    return isinstance(module, str) and not is_installed(module)


def _path(value: Any) -> str:
    module: Mapping[str, Any] | str = getattr(value, "__module__", "") or ""
    names = (getattr(value, name, None) for name in ("__qualname__", "__name__"))
    # Polars' `col` has every attribute that it is asked for.
    return f"{module}.{next((name for name in names if isinstance(name, str)), value)}"
