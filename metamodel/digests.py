"""Digest what a training was asked for: the same digest and the same rows give the same child."""

import hashlib
import json
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from metamodel.options import TrainingOptions
from metamodel.spec import FitSpec

__all__ = ["content", "spec_digest"]

# Of tuning, `FitSpec.tuning` says what counts.
_TUNING = ("tune", "trials", "patience", "tune_seconds", "budget_seconds")
_NOT_DECISIVE = ("engine", "n_jobs", "unknown", "max_group_rows", "stack", "prune", "shrinkage", "interval", *_TUNING)


def spec_digest(options: TrainingOptions, spec: FitSpec, features: dict[str, Any]) -> str:
    """Digest of all that decides what a group's rows are turned into: the same digest and rows give the same child.

    Where and how fast the work is done (engine, n_jobs, stack) is left out, and so is which groups are fitted at all
    and which children are stored.
    """
    decisive = {name: value for name, value in options.to_dict().items() if name not in _NOT_DECISIVE}
    candidates = [[c.name, c.label, content(c.estimator)] for c in spec.candidates]
    # The parents' best parameters are tried first, where there are parents.
    tuning = [content(spec.tuning), options.with_parents] if spec.tuning is not None else []
    text = json.dumps([decisive, spec.task, candidates, features, *tuning], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def content(value: Any) -> Any:
    """Describe an estimator or one of its parameters in full, and the same in every process."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [content(item) for item in value]
    if isinstance(value, dict):
        return {repr(name): content(item) for name, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, type | FunctionType | BuiltinFunctionType | np.ufunc):
        return _callable_content(value)
    own = value.get_params(deep=False) if hasattr(value, "get_params") else getattr(value, "__dict__", None)
    return [_path(type(value)), content(own) if own else repr(value)]


def _callable_content(value: Any) -> list[Any]:
    code = getattr(value, "__code__", None)
    if code is None:
        return [_path(value)]
    # A lambda's name says nothing of what it does, nor does its code of what it encloses.
    body = hashlib.sha256(code.co_code + repr((code.co_names, code.co_consts)).encode()).hexdigest()
    enclosed = [content(cell.cell_contents) for cell in value.__closure__ or ()]
    used = {name: content(value.__globals__[name]) for name in code.co_names if _is_data(value.__globals__, name)}
    return [_path(value), body, enclosed, content(value.__defaults__), content(value.__kwdefaults__), used]


def _is_data(names: Mapping[str, Any], name: str) -> bool:
    """Whether a name stands for a plain value, such as a constant of the module."""
    return isinstance(names.get(name), str | int | float | bool | tuple | list | dict | np.ndarray)


def _path(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}"
