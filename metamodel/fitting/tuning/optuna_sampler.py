"""Optuna's part: which values a trial takes, and what it says while it does."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from metamodel.common.extras import import_extra
from metamodel.fitting.group import GroupData
from metamodel.fitting.tuning.spaces import Dimension, Space

__all__ = ["encoded", "optuna_silenced", "require_optuna", "study_seed", "suggested"]


def require_optuna() -> Any:
    """Import Optuna, which is an extra.

    Raises
    ------
    InputError
        It is not installed.
    """
    return import_extra("tuning", "tune", "optuna")


def study_seed(part: GroupData, name: str, random_state: int) -> int:
    """Seed of a candidate's search: the group's rows decide, in whatever order they come."""
    digest = hashlib.blake2b(np.sort(part.hashes).tobytes(), digest_size=4)
    digest.update(f"{random_state} {name}".encode())
    return int.from_bytes(digest.digest(), "big")


def suggested(trial: Any, space: Space) -> dict[str, Any]:
    """Let a trial choose from a space."""
    return {name: _suggest(trial, name, dimension) for name, dimension in space.items()}


def _suggest(trial: Any, name: str, dimension: Dimension) -> Any:
    if dimension.kind == "category":  # by its place, so that a choice may be any value
        return dimension.choices[trial.suggest_categorical(name, list(range(len(dimension.choices))))]
    if dimension.kind == "int":
        return trial.suggest_int(name, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)


def encoded(params: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Spell parameters as a trial that chose them would have, to try them."""
    return {
        name: _position(value, space[name].choices) if space[name].kind == "category" else value
        for name, value in params.items()
    }


def _position(value: Any, choices: Sequence[Any]) -> int:
    # The value may have been JSON on its way, where a tuple becomes a list.
    return [json.dumps(choice) for choice in choices].index(json.dumps(value))


@contextmanager
def optuna_silenced() -> Iterator[None]:
    """Keep Optuna from writing a line for each trial, and trials' warnings from looking like the child's."""
    optuna = require_optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
