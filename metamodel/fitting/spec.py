"""Frozen value objects: what to fit for every group, and how to judge it."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import cloudpickle
from sklearn.base import clone

from metamodel.common.library_settings import LibrarySettings
from metamodel.evaluation.split_scheme import HOLDOUT, Scheme
from metamodel.tables.keys import GroupKey

__all__ = ["Candidate", "FitSpec", "TaskName", "TuningSpec"]

TaskName = Literal["regression", "classification"]


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
        Candidate → parameter → what it may be (`metamodel.fitting.tuning.Dimension`).
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
    spread_copies
        Whether each of several equal rows is held back on its own; else all lie on one side of a split.
    group_seconds
        Time limit for all fits of one group; None for none.
    skip
        Whether there shall be no child.
    judge_only
        Whether the held-out rows are all that is wanted: nothing is fitted on all rows.
    overrides
        What to do otherwise for single groups.
    tuning
        How the candidates' parameters are searched; None where they are taken as they are.
    settings
        Global settings of scikit-learn and pandas under which the caller trains.
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
    spread_copies: bool = True
    group_seconds: float | None = None
    skip: bool = False
    judge_only: bool = False
    overrides: Mapping[GroupKey, "FitSpec"] = field(default_factory=dict)
    tuning: TuningSpec | None = None
    settings: LibrarySettings = field(default_factory=LibrarySettings)

    def of(self, key: GroupKey) -> "FitSpec":
        """Say what to fit for one group."""
        return self.overrides.get(key, self)

    @property
    def every_candidate(self) -> tuple[Candidate, ...]:
        """The candidates of all groups, those of overrides behind the others."""
        return (*self.candidates, *(one for spec in self.overrides.values() for one in spec.candidates))
