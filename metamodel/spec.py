"""Frozen value objects: what to fit for every group, how to judge it, and what to do with a group without a child."""

import hashlib
import json
import numbers
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import BuiltinFunctionType, FunctionType
from typing import Any, Literal, Self, get_args

import cloudpickle
import numpy as np
from sklearn.base import clone

from metamodel.exceptions import InputError
from metamodel.keys import GroupKey, NullKeys
from metamodel.schemes import HOLDOUT, Scheme
from metamodel.shrinkage import Shrinkage
from metamodel.wording import short

__all__ = ["Candidate", "FitSpec", "TrainingOptions", "TuningSpec", "UnknownPolicy", "content", "one_of", "spec_digest"]

UnknownPolicy = Literal["null", "error", "fallback"]
CodecName = Literal["cloudpickle", "joblib", "skops"]
Duplicates = Literal["drop", "keep"]
TaskName = Literal["regression", "classification"]


def one_of(option: str, value: object, allowed: tuple[str, ...]) -> None:
    """Insist on one of a few words.

    Examples
    --------
    >>> one_of("codec", "zip", ("cloudpickle", "joblib"))
    Traceback (most recent call last):
    metamodel.exceptions.InputError: codec='zip' is unknown. Use one of: cloudpickle, joblib.
    """
    if value not in allowed:
        raise InputError(f"{option}={short(value)} is unknown. Use one of: {', '.join(allowed)}.")


def _plain_number(value: Any) -> Any:
    """Take NumPy's numbers for Python's; everything else stays as it is."""
    if isinstance(value, np.bool_ | bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


@dataclass(frozen=True)
class Candidate:
    """One unfitted estimator to try in every group.

    Parameters
    ----------
    name
        What the caller calls it.
    estimator
        Unfitted; each group fits a clone.
    label, params
        Class name and non-default parameters (JSON), for the ledger.
    """

    name: str
    estimator: Any
    label: str
    params: str

    def unfitted(self) -> Any:
        """Make a copy to fit, as `sklearn.base.clone` does."""
        return clone(self.estimator) if self._packed is None else pickle.loads(self._packed)

    @cached_property
    def _packed(self) -> bytes | None:
        # Unpacking takes a tenth of the time of `clone`, which looks at every parameter of every step anew. Only of
        # scikit-learn's own estimators is it known that both give the same.
        parts = [self.estimator, *self.estimator.get_params().values()]
        if not all(type(part).__module__.startswith("sklearn.") for part in parts if hasattr(part, "get_params")):
            return None
        try:
            return bytes(cloudpickle.dumps(clone(self.estimator)))
        except Exception:  # noqa: BLE001 - it may hold anything, and a child of it can perhaps be stored all the same
            return None


@dataclass(frozen=True)
class TuningSpec:
    """How hyper-parameters are searched in every group.

    Parameters
    ----------
    spaces
        Candidate → parameter → what it may be (`metamodel.tuning.Dimension`).
    trials, patience
        At most so many trials a candidate, and an end after so many without a gain; `patience` 0 for none.
    tune_seconds, budget_seconds
        Limits in seconds for the search in one group and for the whole training; None for none.
    random_state
        Seed, beside the group's rows.
    """

    spaces: Mapping[str, Mapping[str, Any]]
    trials: int = 30
    patience: int = 10
    tune_seconds: float | None = None
    budget_seconds: float | None = None
    random_state: int = 0


@dataclass(frozen=True)
class FitSpec:
    """All that a worker must know to fit any one group.

    Parameters
    ----------
    task
        "regression" or "classification".
    candidates
        One estimator, or several of which the holdout chooses.
    holdout
        Share of a group's rows that is kept back to judge its child; 0 for none. The child that is stored is fitted
        on all rows.
    min_rows
        Groups with fewer usable rows are skipped.
    target_dtype
        dtype of the target once rows without one are left out.
    split
        How the rows are split to judge the candidates.
    metric
        What the candidates are compared by; empty for the task's primary metric.
    season
        Length of a season in time steps, for the seasonal baseline; 0 for none.
    drop_duplicates
        Whether exact copies of a row are left out.
    group_seconds
        Time limit for all fits of one group; None for none.
    skip
        Whether there shall be no child.
    overrides
        What to do otherwise for single groups.
    tuning
        How the candidates' parameters are searched; None where they are taken as they are.
    """

    task: TaskName
    candidates: tuple[Candidate, ...]
    holdout: float = 0.2
    min_rows: int = 2
    target_dtype: str = "float64"
    split: Scheme = HOLDOUT
    metric: str = ""
    season: int = 0
    drop_duplicates: bool = True
    group_seconds: float | None = None
    skip: bool = False
    overrides: Mapping[GroupKey, "FitSpec"] = field(default_factory=dict)
    tuning: TuningSpec | None = None

    def of(self, key: GroupKey) -> "FitSpec":
        """Say what to fit for one group."""
        return self.overrides.get(key, self)

    @property
    def every_candidate(self) -> tuple[Candidate, ...]:
        """The candidates of all groups, those of overrides behind the others."""
        return (*self.candidates, *(one for spec in self.overrides.values() for one in spec.candidates))


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

    def _check_numbers(self) -> None:
        if isinstance(self.holdout, bool) or not isinstance(self.holdout, int | float) or not 0 <= self.holdout < 1:
            raise InputError(
                f"holdout={short(self.holdout)} is no share of the rows. Use a number from 0 (none) to below 1."
            )
        if isinstance(self.min_rows, bool) or not isinstance(self.min_rows, int) or self.min_rows < 1:
            raise InputError(f"min_rows={short(self.min_rows)} is no row count. Use a whole number of at least 1.")
        if isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, int) or self.n_jobs == 0 or self.n_jobs < -1:
            raise InputError(
                f"n_jobs={short(self.n_jobs)} is no process count. Use a positive number, or -1 for every core."
            )
        for name in ("stack", "warm_start"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}={short(getattr(self, name))} is neither true nor false.")
        if isinstance(self.random_state, bool) or not isinstance(self.random_state, int) or not self._is_seed():
            raise InputError(
                f"random_state={short(self.random_state)} is no seed. Use a whole number from 0 to 2**32 - 1."
            )
        self._check_limit()
        self._check_tuning()

    def _check_tuning(self) -> None:
        for name, least in (("trials", 1), ("patience", 0)):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise InputError(
                    f"{name}={short(number)} is no number of trials. Use a whole number of at least {least}."
                )
        for name in ("tune_seconds", "budget_seconds"):
            seconds = getattr(self, name)
            if seconds is None:
                continue
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
                raise InputError(f"{name}={short(seconds)} is no time limit. Use a number of seconds above 0, or None.")
            if self.tune is None:
                raise InputError(
                    f"{name}={seconds} limits a search that is not asked for. Set tune too, or leave it out."
                )

    def _check_limit(self) -> None:
        limit = self.max_group_rows
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise InputError(
                f"max_group_rows={short(limit)} is no row limit. Use a whole number of at least 1, or None."
            )

    def _check_pruning(self) -> None:
        if not isinstance(self.prune, bool):
            raise InputError(f"prune={short(self.prune)} is neither true nor false.")
        if self.prune and self.unknown != "fallback":
            raise InputError(
                f"prune needs parents to answer for the children it leaves out, but unknown={self.unknown!r}. "
                'Use unknown="fallback".'
            )
        if self.prune and self.holdout == 0 and self.scheme.kind == "holdout":
            raise InputError(
                "prune compares children with their parents on held-out rows, but holdout=0. Set a holdout."
            )

    def _check_interval(self) -> None:
        level = self.interval
        if level is None:
            return
        if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
            raise InputError(
                f"interval={short(level)} is no share of rows to cover. Use a number between 0 and 1: 0.9."
            )
        if self.holdout == 0 and self.scheme.kind == "holdout":
            raise InputError(f"interval={level} is measured on held-out rows, but holdout=0. Set a holdout.")

    def _check_split(self) -> None:
        kind = self.scheme.kind
        if kind == "rolling" and self.time_column is None:
            raise InputError(f"split={self.split!r} goes by time, but there is no time_column. Name one.")
        if kind == "kfold" and self.time_column is not None:
            raise InputError(
                f"split={self.split!r} would train on rows later than those it tests (time_column "
                f'{self.time_column!r}). Use split="rolling:folds=3,horizon=4", or leave the time column out.'
            )
        if isinstance(self.season, bool) or not isinstance(self.season, int) or self.season < 0:
            raise InputError(f"season={short(self.season)} is no number of time steps. Use a whole number, 0 for none.")
        limit = self.group_seconds
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
            raise InputError(f"group_seconds={short(limit)} is no time limit. Use seconds above 0, or None.")
        if self.season and self.time_column is None:
            raise InputError(f"season={self.season} goes by time, but there is no time_column. Name one.")

    def _is_seed(self) -> bool:
        return 0 <= self.random_state < 2**32  # what NumPy takes

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        shrinkage = None if self.shrinkage is None else self.shrinkage.to_dict()
        # A function of the caller's is named, never copied.
        return {**asdict(replace(self, shrinkage=None)), "group_by": list(self.group_by), "shrinkage": shrinkage}


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
