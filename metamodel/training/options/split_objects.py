"""Ways to split a group's rows, as objects for `split=`; the compact form for files and the command line is a text."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from metamodel.common.messages import short
from metamodel.common.validation import is_whole
from metamodel.evaluation.split_scheme import Scheme
from metamodel.exceptions import InputError
from metamodel.training.options.validators import HOLDOUT_SHARE

__all__ = ["Holdout", "KFold", "Rolling", "Split"]


class Split(ABC):
    """A way to split a group's rows into those that train and those that judge."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The compact form, as `Scheme.parse` reads it."""

    def _check(self, **numbers: int) -> None:
        for name, number in numbers.items():
            if not is_whole(number, 1):
                raise InputError(f"{name}={short(number)} is no whole number of at least 1. Correct {self!r}.")
        Scheme.parse(self.text)


@dataclass(frozen=True)
class Holdout(Split):
    """One split: a share of each group's rows is held back, with a time column the latest.

    Parameters
    ----------
    share
        From 0 (none) to below 1.

    Examples
    --------
    >>> Holdout(0.3).text
    'holdout'
    >>> Holdout(2)
    Traceback (most recent call last):
    metamodel.exceptions.InputError: holdout=2 is no share of the rows. Use a number from 0 (none) to below 1.
    """

    share: float = 0.2

    def __post_init__(self) -> None:
        if complaint := HOLDOUT_SHARE(self.share):
            raise InputError(f"holdout={short(self.share)} is {complaint}")

    @property
    def text(self) -> str:
        """The compact form."""
        return "holdout"


@dataclass(frozen=True)
class KFold(Split):
    """Every row is tested once, by a child that has not seen it.

    Parameters
    ----------
    folds
        At least 2.

    Examples
    --------
    >>> KFold(4).text
    'kfold:4'
    """

    folds: int = 5

    def __post_init__(self) -> None:
        self._check(folds=self.folds)

    @property
    def text(self) -> str:
        """The compact form."""
        return f"kfold:{self.folds}"


@dataclass(frozen=True)
class Rolling(Split):
    """A backtest over the time column, each time with the rows before an origin for training.

    Parameters
    ----------
    folds
        How many origins.
    horizon
        How many time steps behind an origin are tested.
    step
        How many time steps lie between two origins; None for `horizon`.

    Examples
    --------
    >>> Rolling(folds=3, horizon=4).text
    'rolling:folds=3,horizon=4,step=4'
    """

    folds: int
    horizon: int
    step: int | None = None

    def __post_init__(self) -> None:
        self._check(folds=self.folds, horizon=self.horizon, step=self.horizon if self.step is None else self.step)

    @property
    def text(self) -> str:
        """The compact form."""
        return f"rolling:folds={self.folds},horizon={self.horizon},step={self.step or self.horizon}"
