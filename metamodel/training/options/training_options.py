"""The caller's options of a training: plain values, checked when they are given."""

import numbers
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from metamodel.common.messages import short
from metamodel.common.option import check_options, declared
from metamodel.evaluation.split_scheme import Scheme
from metamodel.exceptions import InputError
from metamodel.training.options.groups import Answering, Groups, Judging, Roles, Tuning, WarmStart, Work

__all__ = ["TrainingOptions"]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Roles, Groups, Judging, WarmStart, Tuning, Answering, Work):
    """The caller's options that are plain values, checked; each is declared in the group that it belongs to.

    Raises
    ------
    InputError
        An option is out of range, of the wrong kind, or contradicts another.
    """

    def __post_init__(self) -> None:
        check_options(self)
        self._check_columns()
        self._check_tuning()
        self._check_split()
        self._check_pruning()
        self._check_interval()
        self._check_exploration()
        self._check_seen()

    @property
    def with_parents(self) -> bool:
        """Whether a model of each prefix of the group columns, and a global one, are trained too."""
        return self.unknown == "fallback" or self.shrinkage is not None

    @property
    def prunes_small(self) -> bool:
        """Whether small children have to show that they are better than their parent.

        With shrinkage they need not: their weights say already how much they lean on it.
        """
        with_parents = self.unknown == "fallback" and self.shrinkage is None
        return self.prune == "auto" and with_parents and not self._holds_nothing_back

    @property
    def pools_if_cheap(self) -> bool:
        """Whether children are compared with a pooled model where it costs little."""
        return self.pooled == "auto" and self.unknown == "fallback" and not self._holds_nothing_back

    @property
    def hashes_seen(self) -> bool:
        """Whether each child's rows are remembered by a hash, because no time says which ones it has seen."""
        return self.seen is True or (self.seen == "auto" and self.time_column is None and self.keep_rows)

    @property
    def scheme(self) -> Scheme:
        """How rows are split to judge the candidates."""
        return Scheme.parse(self.split)

    @classmethod
    def create(cls, group_by: object, **options: Any) -> Self:
        """Accept `group_by` as a name or as names in order, and for an option that may be None also "" and no time."""
        if isinstance(group_by, str):
            group_by = [group_by]
        elif hasattr(group_by, "tolist"):  # an array, or pandas' Index of names
            group_by = group_by.tolist()
        if not isinstance(group_by, list | tuple) or not all(isinstance(name, str) for name in group_by):
            raise InputError(
                f"group_by={short(group_by)} is no list of column names. Give one name or a list of names."
            )
        if not isinstance(options.get("target"), str):
            raise InputError(
                f"target={short(options.get('target'))} is no column name. {_remedy_of_target(options.get('target'))}"
            )
        optional = {
            option.name
            for option in declared(cls)
            if option.default is None and isinstance(options.get(option.name), str) and not options[option.name]
        }
        plain: dict[str, Any] = {
            name: None if name in optional else _plain_number(value) for name, value in options.items()
        }
        plain["group_seconds"] = plain.get("group_seconds") or None
        if entity := plain.get("explore_entity"):
            plain["explore_entity"] = (entity,) if isinstance(entity, str) else tuple(entity)
        return cls(group_by=tuple(group_by), **plain)

    def _check_columns(self) -> None:
        if not self.group_by:
            raise InputError("group_by is empty. Name at least one column whose values tell the groups apart.")
        if len(set(self.group_by)) < len(self.group_by):
            raise InputError(f"group_by names a column twice: {', '.join(self.group_by)}. Name each once.")
        if self.target in self.group_by:
            raise InputError(
                f"{self.target!r} is the target and a group column. A model cannot predict what chooses it."
            )
        roles = {name: getattr(self, name) for name in ("time_column", "sample_weight", "split_groups")}
        for role, name in roles.items():
            if name is not None and not isinstance(name, str):
                raise InputError(
                    f"{role} is a {type(name).__name__}, and no column name. Put the values into the table as a "
                    "column, and name it."
                )
            if name is not None and name in (self.target, *self.group_by):
                raise InputError(f"{role} {name!r} is the target or a group column. Name a column of its own.")
        if self.sample_weight is not None and self.sample_weight in (self.time_column, self.split_groups):
            other = "time column" if self.sample_weight == self.time_column else "split_groups column"
            raise InputError(f"sample_weight {self.sample_weight!r} is the {other}. Name a column of its own.")

    def _check_tuning(self) -> None:
        for limit in ("tune_seconds", "budget_seconds"):
            seconds = getattr(self, limit)
            if seconds is not None and self.tune is None:
                raise InputError(
                    f"{limit}={seconds} limits a search that is not asked for. Set tune too, or leave it out."
                )

    def _check_split(self) -> None:
        kind = self.scheme.kind
        if kind == "rolling" and self.time_column is None:
            raise InputError(f"split={self.split!r} goes by time, but there is no time_column. Name one.")
        if self.split_groups is not None and self.time_column is not None:
            raise InputError(
                f"split_groups={self.split_groups!r} keeps all rows of one value together, but with time_column "
                f"{self.time_column!r} the latest rows are held back, of whatever value. Leave one of them out."
            )
        if kind == "leave_one_group_out" and self.split_groups is None:
            raise InputError(
                f"split={self.split!r} leaves out one value of a column after the other, but split_groups names none. "
                "Name one."
            )
        if kind in ("kfold", "shuffle") and self.time_column is not None:
            raise InputError(
                f"split={self.split!r} would train on rows later than those it tests (time_column "
                f'{self.time_column!r}). Use split="rolling:folds=3,horizon=4", or leave the time column out.'
            )
        if self.season and self.time_column is None:
            raise InputError(f"season={self.season} goes by time, but there is no time_column. Name one.")

    def _check_pruning(self) -> None:
        if self.prune is True and self.unknown != "fallback":
            raise InputError(
                f"prune needs parents to answer for the children it leaves out, but unknown={self.unknown!r}. "
                'Use unknown="fallback".'
            )
        if self.pooled is True and self._holds_nothing_back:
            raise InputError(
                "pooled compares children with one model of all groups on held-out rows, but holdout=0. Set a holdout."
            )
        if self.prune is True and self._holds_nothing_back:
            raise InputError(
                "prune compares children with their parents on held-out rows, but holdout=0. Set a holdout."
            )

    def _check_interval(self) -> None:
        if self.interval is not None and self._holds_nothing_back:
            raise InputError(f"interval={self.interval} is measured on held-out rows, but holdout=0. Set a holdout.")

    def _check_exploration(self) -> None:
        if not self.explore:
            return
        from metamodel.prediction.rollout.exploration import Exploration  # not at once: `--help` is quick

        Exploration.of(self.explore, self.explore_entity or (), self.target)
        if not self.with_parents:
            raise InputError(
                f"explore={self.explore} lets parents answer the control group, but unknown={self.unknown!r} trains "
                'none. Use unknown="fallback".'
            )

    def _check_seen(self) -> None:
        if self.seen is True and self.time_column is not None:
            raise InputError(
                f"seen=True tells new rows by hashes of the old ones, but time_column {self.time_column!r} tells them "
                "by their time. Leave one of them out."
            )

    @property
    def _holds_nothing_back(self) -> bool:
        return self.holdout == 0 and self.scheme.draws

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        shrinkage = None if self.shrinkage is None else self.shrinkage.to_dict()
        # A function of the caller's is named, never copied.
        return {**asdict(replace(self, shrinkage=None)), "group_by": list(self.group_by), "shrinkage": shrinkage}


def _remedy_of_target(target: Any) -> str:
    if target is None:
        return (
            "Give one name: children are judged by it. Where they learn from the features alone (KMeans, "
            "IsolationForest), a constant will do: data.assign(target=0)."
        )
    if isinstance(target, list | tuple):
        return "Give one name; a model predicts one column, so train one for each of several."
    return "Give one name."


def _plain_number(value: Any) -> Any:
    """Take NumPy's numbers for Python's; everything else stays as it is."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)
