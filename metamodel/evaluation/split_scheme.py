"""How a group's rows are split to judge its candidates: the few words that `split=` understands."""

import re
from dataclasses import dataclass
from typing import Literal, Self

from metamodel.common.messages import short
from metamodel.exceptions import InputError

__all__ = ["HOLDOUT", "Scheme"]

_ROLLING = ("folds", "horizon", "step")

_KNOWN = 'Use "holdout", "kfold:5", "shuffle:5", "leave_one_group_out", or "rolling:folds=3,horizon=4,step=4".'


@dataclass(frozen=True)
class Scheme:
    """A way of splitting.

    Parameters
    ----------
    kind
        "holdout": once, by the share `holdout`. "kfold": every row is tested once, by a child that has not seen it.
        "shuffle": several holdouts, drawn independently of each other. "leave_one_group_out": each value of the column
        `split_groups` is tested once. "rolling": a backtest over the time column, each time with the rows before an
        origin for training.
    folds
        How many pairs of training and test rows.
    horizon
        Of a backtest: how many time steps behind its origin are tested.
    step
        Of a backtest: how many time steps lie between two origins.
    """

    kind: Literal["holdout", "kfold", "shuffle", "leave_one_group_out", "rolling"] = "holdout"
    folds: int = 1
    horizon: int = 1
    step: int = 1

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read the compact form.

        Raises
        ------
        InputError
            It is none.

        Examples
        --------
        >>> Scheme.parse("kfold:5")
        Scheme(kind='kfold', folds=5, horizon=1, step=1)
        >>> Scheme.parse("rolling:folds=3,horizon=4")
        Scheme(kind='rolling', folds=3, horizon=4, step=4)
        >>> Scheme.parse("kfold:1")
        Traceback (most recent call last):
        metamodel.exceptions.InputError: split='kfold:1' has fewer than 2 folds. Use at least kfold:2.
        """
        kind, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
        if kind == "holdout" and not colon:
            return cls()
        if kind == "leave_one_group_out" and not colon:
            return cls("leave_one_group_out")
        if kind == "shuffle" and rest.isdecimal():
            if int(rest) < 1:
                raise InputError(f"split={short(text)} draws no holdout. Use at least shuffle:1.")
            return cls("shuffle", int(rest))
        if kind == "kfold" and rest.isdecimal():
            if int(rest) < 2:
                raise InputError(f"split={short(text)} has fewer than 2 folds. Use at least kfold:2.")
            return cls("kfold", int(rest))
        if kind == "rolling" and re.fullmatch(r"\w+=\d+(,\w+=\d+)*", rest):
            return cls._rolling(text, [part.split("=") for part in rest.split(",")])
        raise InputError(f"split={short(text)} is unknown. {_KNOWN}")

    @property
    def draws(self) -> bool:
        """Whether rows are held back by the share `holdout`."""
        return self.kind in ("holdout", "shuffle")

    @classmethod
    def _rolling(cls, text: object, parts: list[list[str]]) -> Self:
        given = {name: int(number) for name, number in parts}
        if len(given) < len(parts) or not set(given) <= set(_ROLLING):
            raise InputError(f"split={short(text)} takes {', '.join(_ROLLING)}, each once. {_KNOWN}")
        if missing := [name for name in ("folds", "horizon") if name not in given]:
            raise InputError(f"split={short(text)} does not say {' and '.join(missing)}. {_KNOWN}")
        if zero := [name for name, number in given.items() if number < 1]:
            raise InputError(f"split={short(text)} sets {' and '.join(zero)} to 0. Use whole numbers of at least 1.")
        return cls("rolling", given["folds"], given["horizon"], given.get("step", given["horizon"]))


HOLDOUT = Scheme()
