"""How much a group's parents have a say in its predictions: one weight for each level, from the levels' row counts.

A small group's own model is noisy, its parent's is not its own; a weighted mean of both is often better than either.
The idea is James and Stein's (1961, "Estimation with quadratic loss") and Efron and Morris's (1975, "Data analysis
using Stein's estimator and its generalizations", JASA 70). The methods, their names and arguments, and what they
compute are those of scikit-lego (`sklego.meta.HierarchicalRegressor`, 0.9), so that the same data give the same
weights.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from metamodel.common.messages import did_you_mean, short
from metamodel.exceptions import InputError

__all__ = ["Shrinkage"]

# Row counts that a function of the caller's is tried on before anything is fitted.
_TRIED = ([10], [10, 5, 2])

# Weights whose sum is less than this share of what they add up to without their signs are divided by rounding errors.
_LEAST_SUM = 1e-6


@dataclass(frozen=True, init=False)
class Shrinkage:
    """A way to weigh the levels of a group.

    Parameters
    ----------
    method
        "constant", "equal", "min_n_obs" or "relative"; or a function that takes the row counts from the global level
        down to the group (a list) and returns one weight for each.
    params, arguments
        Arguments of the method, as a dict or by name: `alpha` of "constant", `min_n_obs` of "min_n_obs"; of a function,
        whatever it takes.

    Raises
    ------
    InputError
        There is no such method, an argument is missing or odd, or the function returns no weights.

    Examples
    --------
    >>> Shrinkage("constant", alpha=0.25).weights([100, 20, 5]).tolist()
    [0.0625, 0.1875, 0.75]
    """

    method: str | Callable[..., Any]
    params: Mapping[str, Any]

    def __init__(
        self, method: str | Callable[..., Any], params: Mapping[str, Any] | None = None, **arguments: Any
    ) -> None:
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "params", {**(params or {}), **arguments})
        if callable(method):
            for sizes in _TRIED:
                self.weights(sizes)
            return
        if not isinstance(method, str) or method not in _METHODS:
            raise InputError(
                f"shrinkage={short(method)} is unknown. Use one of: {', '.join(_METHODS)}, or a function."
                f"{did_you_mean(method, _METHODS)}"
            )
        _check_arguments(method, self.params)

    @classmethod
    def create(cls, method: object, params: object = None) -> Self | None:
        """Check what a caller asked for; None, or "", is no shrinkage.

        Raises
        ------
        InputError
            As the class, or there are arguments without a method.
        """
        if method is None or method == "":
            if params:
                raise InputError(f"shrinkage_params={short(params)} belong to no method. Set shrinkage too.")
            return None
        if params is not None and not isinstance(params, Mapping):
            raise InputError(f'shrinkage_params={short(params)} is no dict. Give one, such as {{"alpha": 0.5}}.')
        return cls(method, params)  # type: ignore[arg-type]  # insists on it

    def check_rows(self, rows: int) -> None:
        """Refuse a method that leaves a table of so many rows without a single level."""
        least = self.params.get("min_n_obs") if self.method == "min_n_obs" else None
        if least is not None and least > rows:
            raise InputError(f"min_n_obs={least:,} is more than the {rows:,} rows of the table. Use a smaller number.")

    def weights(self, sizes: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Weigh the levels of one group.

        Parameters
        ----------
        sizes
            Rows that each level was fitted on, from the largest (global) to the group itself.

        Returns
        -------
        array of shape (n_levels,)
            Weights that sum to 1.

        Raises
        ------
        InputError
            The caller's function raised, or returned no weights.

        Examples
        --------
        >>> Shrinkage("relative").weights([60, 30, 10]).tolist()
        [0.6, 0.3, 0.1]
        >>> Shrinkage("min_n_obs", {"min_n_obs": 20}).weights([60, 30, 10]).tolist()
        [0.0, 1.0, 0.0]
        """
        if isinstance(self.method, str):
            raw = _METHODS[self.method](np.asarray(sizes, dtype=np.float64), **self.params)
        else:
            raw = self._asked(list(sizes))
        weights: np.ndarray[Any, np.dtype[np.float64]] = raw / raw.sum()
        return weights

    def _asked(self, sizes: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        remedy = "Return one finite weight for each row count, the global level first, with a sum that is not 0."
        try:
            given = np.asarray(self.method(sizes, **self.params), dtype=np.float64)  # type: ignore[operator]  # no str
        except Exception as error:  # the caller's function may raise anything
            raise InputError(f"The shrinkage function {self.name} failed for {sizes}: {error!r}. {remedy}") from error
        with np.errstate(over="ignore"):
            total, size = given.sum(), np.abs(given).sum()
        if given.shape != (len(sizes),) or not np.isfinite(size) or abs(total) <= _LEAST_SUM * size:
            raise InputError(f"The shrinkage function {self.name} returned {short(given)} for {sizes}. {remedy}")
        return given

    @property
    def name(self) -> str:
        """The method's name; of a function, where it comes from."""
        if isinstance(self.method, str):
            return self.method
        owner = self.method if hasattr(self.method, "__qualname__") else type(self.method)
        return f"{owner.__module__}.{owner.__qualname__}"

    def to_dict(self) -> dict[str, Any]:
        """Say in JSON what was asked for."""
        plain = str | int | float | bool | None
        given = {name: x.item() if isinstance(x, np.generic) else x for name, x in self.params.items()}
        params = {name: value if isinstance(value, plain) else repr(value) for name, value in given.items()}
        return {"method": self.name, "params": params}


def _constant(sizes: np.ndarray[Any, Any], alpha: float) -> np.ndarray[Any, Any]:
    """Every level takes the share `alpha` from the blended prediction of its parent, and the rest from itself."""
    above = alpha ** np.arange(len(sizes) - 1, -1, -1)
    own = np.full(len(sizes), 1 - alpha)
    own[0] = 1
    shares: np.ndarray[Any, Any] = above * own
    return shares


def _min_n_obs(sizes: np.ndarray[Any, Any], min_n_obs: int) -> np.ndarray[Any, Any]:
    """Choose the smallest level that has enough rows; where none has, the largest."""
    enough = np.flatnonzero(sizes >= min_n_obs)
    chosen = np.zeros(len(sizes))
    chosen[enough[-1] if len(enough) else 0] = 1
    return chosen


_METHODS: dict[str, Callable[..., Any]] = {
    "constant": _constant,
    "equal": np.ones_like,
    "min_n_obs": _min_n_obs,
    "relative": np.copy,
}

_ARGUMENTS = {"constant": "alpha", "min_n_obs": "min_n_obs"}


def _check_arguments(method: str, given: Mapping[str, Any]) -> None:
    wanted = {_ARGUMENTS[method]} if method in _ARGUMENTS else set()
    if set(given) != wanted:
        needed = f"exactly the argument {', '.join(wanted)}" if wanted else "no arguments"
        raise InputError(f"shrinkage={method!r} takes {needed}, not {short(dict(given))}. Correct shrinkage_params.")
    for name, value in given.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
        if name == "alpha" and not (number and 0 <= value <= 1):
            raise InputError(f"alpha={short(value)} is no share. Use a number from 0 (the group alone) to 1.")
        if name == "min_n_obs" and not (number and value >= 1):
            raise InputError(f"min_n_obs={short(value)} is no row count. Use a number of at least 1.")
