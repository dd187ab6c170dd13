"""An option's own word takes a value or an object that holds the option with its sub-options: `tune=Tuning(...)`.

Objects are spread into the flat options before anything else is done, so nothing below knows of them.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

from metamodel.common.messages import short
from metamodel.evaluation.shrinkage import Shrinkage
from metamodel.exceptions import InputError
from metamodel.training.options.groups import Tuning
from metamodel.training.options.sklearn_splitters import flat_splitter, is_splitter
from metamodel.training.options.split_objects import Holdout, Split

__all__ = ["flat_options", "takes_objects"]

Given = ParamSpec("Given")
Result = TypeVar("Result")


def takes_objects(call: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a function of flat options take objects in their place; its signature stays what people see."""

    @functools.wraps(call)
    def spread(*args: Given.args, **given: Given.kwargs) -> Result:
        return call(*args, **flat_options(given))

    return spread


def flat_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the flat options in the place of objects.

    Raises
    ------
    InputError
        A sub-option was given beside the object that holds it.

    Examples
    --------
    >>> from metamodel.training.options.split_objects import Rolling
    >>> flat_options({"split": Rolling(3, 4), "interval": 0.9})
    {'split': 'rolling:folds=3,horizon=4,step=4', 'interval': 0.9}
    """
    if is_splitter(given.get("split")) and not given.get("split_groups"):
        raise InputError(
            f"split={short(given['split'])} goes by groups, but split_groups names no column. Name the column whose "
            "equal values stay together."
        )
    flat: dict[str, Any] = {}
    for word, value in given.items():
        held, also = _held(word, value)
        for sub in (name for name in (*held, *also) if name != word and name in given):
            raise InputError(
                f"{sub}={short(given[sub])} was given beside {word}={short(value)}, which says it too. "
                f"Give it in {type(value).__name__}(...), or give {word} as a plain value."
            )
        flat |= held
    return flat


def _held(word: str, value: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Say which options an object holds, and which others are its affair; anything else holds itself."""
    if word == "tune" and isinstance(value, Tuning):
        # Who gives the object wants the search; without a space it is the built-in one.
        return asdict(value) | {"tune": True if value.tune is None else value.tune}, ()
    if word == "shrinkage" and isinstance(value, Shrinkage):
        return {"shrinkage": value.method, "shrinkage_params": dict(value.params)}, ()
    if word == "split" and isinstance(value, Holdout):
        return {"split": value.text, "holdout": value.share}, ()
    if word == "split" and isinstance(value, Split):
        return {"split": value.text}, ("holdout",)
    if word == "split" and is_splitter(value):
        of_sklearn = flat_splitter(value)
        return of_sklearn, () if "holdout" in of_sklearn else ("holdout",)
    return {word: value}, ()
