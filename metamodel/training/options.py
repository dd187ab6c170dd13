"""The caller's options of a training: plain values, checked when they are given."""

import numbers
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np

from metamodel.common.messages import short
from metamodel.common.validation import is_number, is_whole, one_of
from metamodel.evaluation.shrinkage import Shrinkage
from metamodel.evaluation.split_scheme import Scheme
from metamodel.exceptions import InputError
from metamodel.prediction.output import UnknownPolicy
from metamodel.tables.keys import NullKeys

__all__ = ["TrainingOptions"]

CodecName = Literal["cloudpickle", "joblib", "skops"]

Duplicates = Literal["drop", "keep"]


@dataclass(frozen=True)
class TrainingOptions:
    """The caller's options that are plain values, checked.

    Raises
    ------
    InputError
        An option is out of range, of the wrong kind, or contradicts another.
    """

    group_by: tuple[str, ...]
    target: str
    holdout: float = 0.2
    time_column: str | None = None
    min_rows: int = 2
    unknown: UnknownPolicy = "null"
    null_keys: NullKeys = "error"
    codec: CodecName = "cloudpickle"
    engine: str = "local"
    n_jobs: int = -1
    random_state: int = 0
    max_group_rows: int | None = None
    stack: bool = True
    prune: bool = False
    warm_start: bool = False
    split: str = "holdout"
    metric: str | None = None
    season: int = 0
    duplicates: Duplicates = "drop"
    sample_weight: str | None = None
    group_seconds: float | None = None
    tune: Any = None
    trials: int = 30
    patience: int = 10
    tune_seconds: float | None = None
    budget_seconds: float | None = None
    shrinkage: Shrinkage | None = None
    interval: float | None = None

    def __post_init__(self) -> None:
        one_of("unknown", self.unknown, get_args(UnknownPolicy))
        one_of("null_keys", self.null_keys, get_args(NullKeys))
        one_of("codec", self.codec, get_args(CodecName))
        one_of("duplicates", self.duplicates, get_args(Duplicates))
        self._check_columns()
        self._check_numbers()
        self._check_tuning()
        self._check_split()
        self._check_pruning()
        self._check_interval()

    @property
    def with_parents(self) -> bool:
        """Whether a model of each prefix of the group columns, and a global one, are trained too."""
        return self.unknown == "fallback" or self.shrinkage is not None

    @property
    def scheme(self) -> Scheme:
        """How rows are split to judge the candidates."""
        return Scheme.parse(self.split)

    @classmethod
    def create(cls, group_by: object, **options: Any) -> Self:
        """Accept `group_by` as a name or as a list of names."""
        if isinstance(group_by, str):
            group_by = [group_by]
        if not isinstance(group_by, list | tuple) or not all(isinstance(name, str) for name in group_by):
            raise InputError(
                f"group_by={short(group_by)} is no list of column names. Give one name or a list of names."
            )
        if not isinstance(options.get("target"), str):
            raise InputError(f"target={short(options.get('target'))} is no column name. Give one name.")
        return cls(tuple(group_by), **{name: _plain_number(value) for name, value in options.items()})

    def _check_columns(self) -> None:
        if not self.group_by:
            raise InputError("group_by is empty. Name at least one column whose values tell the groups apart.")
        if len(set(self.group_by)) < len(self.group_by):
            raise InputError(f"group_by names a column twice: {', '.join(self.group_by)}. Name each once.")
        if self.target in self.group_by:
            raise InputError(
                f"{self.target!r} is the target and a group column. A model cannot predict what chooses it."
            )
        for role, name in (("time_column", self.time_column), ("sample_weight", self.sample_weight)):
            if name is not None and name in (self.target, *self.group_by):
                raise InputError(f"{role} {name!r} is the target or a group column. Name a column of its own.")
        if self.sample_weight is not None and self.sample_weight == self.time_column:
            raise InputError(f"sample_weight {self.sample_weight!r} is the time column. Name a column of its own.")

    def _insist(self, option: str, fits: bool, otherwise: str) -> None:
        """Refuse an option that does not fit; `otherwise` says what its value is not, and what to give."""
        if not fits:
            raise InputError(f"{option}={short(getattr(self, option))} is {otherwise}")

    def _check_numbers(self) -> None:
        self._insist(
            "holdout",
            is_number(self.holdout) and 0 <= self.holdout < 1,
            "no share of the rows. Use a number from 0 (none) to below 1.",
        )
        self._insist("min_rows", is_whole(self.min_rows, 1), "no row count. Use a whole number of at least 1.")
        self._insist(
            "n_jobs",
            is_whole(self.n_jobs, -1) and self.n_jobs != 0,
            "no process count. Use a positive number, or -1 for every core.",
        )
        self._insist("stack", isinstance(self.stack, bool), "neither true nor false.")
        self._insist("warm_start", isinstance(self.warm_start, bool), "neither true nor false.")
        self._insist(
            "random_state",
            is_whole(self.random_state, 0) and self.random_state < 2**32,  # what NumPy takes
            "no seed. Use a whole number from 0 to 2**32 - 1.",
        )
        self._insist(
            "max_group_rows",
            self.max_group_rows is None or is_whole(self.max_group_rows, 1),
            "no row limit. Use a whole number of at least 1, or None.",
        )

    def _check_tuning(self) -> None:
        for option, least in (("trials", 1), ("patience", 0)):
            enough = is_whole(getattr(self, option), least)
            self._insist(option, enough, f"no number of trials. Use a whole number of at least {least}.")
        for option in ("tune_seconds", "budget_seconds"):
            seconds = getattr(self, option)
            if seconds is None:
                continue
            finite = is_number(seconds) and 0 < seconds < float("inf")
            self._insist(option, finite, "no time limit. Use a number of seconds above 0, or None.")
            if self.tune is None:
                raise InputError(
                    f"{option}={seconds} limits a search that is not asked for. Set tune too, or leave it out."
                )

    def _check_split(self) -> None:
        kind = self.scheme.kind
        if kind == "rolling" and self.time_column is None:
            raise InputError(f"split={self.split!r} goes by time, but there is no time_column. Name one.")
        if kind == "kfold" and self.time_column is not None:
            raise InputError(
                f"split={self.split!r} would train on rows later than those it tests (time_column "
                f'{self.time_column!r}). Use split="rolling:folds=3,horizon=4", or leave the time column out.'
            )
        self._insist("season", is_whole(self.season, 0), "no number of time steps. Use a whole number, 0 for none.")
        limit = self.group_seconds
        self._insist(
            "group_seconds",
            limit is None or (is_number(limit) and limit > 0),
            "no time limit. Use seconds above 0, or None.",
        )
        if self.season and self.time_column is None:
            raise InputError(f"season={self.season} goes by time, but there is no time_column. Name one.")

    def _check_pruning(self) -> None:
        self._insist("prune", isinstance(self.prune, bool), "neither true nor false.")
        if self.prune and self.unknown != "fallback":
            raise InputError(
                f"prune needs parents to answer for the children it leaves out, but unknown={self.unknown!r}. "
                'Use unknown="fallback".'
            )
        if self.prune and self._holds_nothing_back:
            raise InputError(
                "prune compares children with their parents on held-out rows, but holdout=0. Set a holdout."
            )

    def _check_interval(self) -> None:
        level = self.interval
        if level is None:
            return
        between = is_number(level) and 0 < level < 1
        self._insist("interval", between, "no share of rows to cover. Use a number between 0 and 1: 0.9.")
        if self._holds_nothing_back:
            raise InputError(f"interval={level} is measured on held-out rows, but holdout=0. Set a holdout.")

    @property
    def _holds_nothing_back(self) -> bool:
        return self.holdout == 0 and self.scheme.kind == "holdout"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        shrinkage = None if self.shrinkage is None else self.shrinkage.to_dict()
        # A function of the caller's is named, never copied.
        return {**asdict(replace(self, shrinkage=None)), "group_by": list(self.group_by), "shrinkage": shrinkage}


def _plain_number(value: Any) -> Any:
    """Take NumPy's numbers for Python's; everything else stays as it is."""
    if isinstance(value, np.bool_ | bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)
