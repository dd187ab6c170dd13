"""The ledger, one row for every group and level of a training: its columns, and the row that a group's fit writes.

Every column is declared in `COLUMNS`, with its type, the stage that writes it, and what it holds; docs/ledger.md has
the same table, word for word. What a group's fit says travels from engines to the table as a `LedgerRow`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from metamodel.evaluation.metrics import METRICS
from metamodel.evaluation.pooled_selection import Contest

__all__ = [
    "COLUMNS",
    "COMPARISON_COLUMNS",
    "SHRINKAGE_COLUMNS",
    "Column",
    "LedgerRow",
    "Stage",
    "column_names",
]

# Who writes a column, in the order of a training: the fit of one group; what gathers the groups' children; what carries
# the others over from the version before; the comparison with the parents; stacking; with shrinkage and intervals, what
# they add. "refer" is no training, but what makes a model of children that live elsewhere.
Stage = Literal["fit", "gather", "carry", "compare", "stack", "shrinkage", "interval", "refer"]

# Stages that every ledger has the columns of.
_ALWAYS: tuple[Stage, ...] = ("fit", "gather", "carry", "compare", "stack")


@dataclass(frozen=True)
class Column:
    """One column of the ledger, or one for each metric.

    Parameters
    ----------
    name
        With ``<metric>`` in it, it stands for a column of each of the task's metrics.
    type
        "text", "integer" or "number" (float64). Of what a training writes, texts and integers are null only where it is
        said.
    stage
        Who writes it.
    meaning
        What it holds, in Markdown, as docs/ledger.md says it.
    """

    name: str
    type: Literal["text", "integer", "number"]
    stage: Stage
    meaning: str

    def names(self, task: str) -> list[str]:
        """Write the name out for a task's metrics.

        Examples
        --------
        >>> Column("train_<metric>", "number", "fit", "").names("regression")
        ['train_mae', 'train_rmse', 'train_r2']
        """
        return [self.name.replace("<metric>", metric) for metric in METRICS[task]] if "<" in self.name else [self.name]


# Behind the group columns, in this order.
COLUMNS = (
    Column(
        "level",
        "integer",
        "fit",
        "number of group columns in the key: all of them for a child, fewer for a parent, 0 for the global model",
    ),
    Column(
        "status",
        "text",
        "fit",
        "`fitted`, `pooled` (the pooled model answers the group), `skipped` (not enough rows, too many, or pruned), "
        "`failed` (an error); `carried` is a child taken over from an earlier version, `retired` one that was given up "
        "because its group is long gone, `referenced` one that lives elsewhere",
    ),
    Column("reason", "text", "fit", "empty, or words for machines with their figures behind, joined by `; ` (below)"),
    Column("error", "text", "fit", "the error's class and first line, empty without one"),
    Column("rows", "integer", "fit", "rows that have a target, copies of a row left out"),
    Column("seconds", "number", "fit", "time for all fits and scores of this group"),
    Column("estimator", "text", "fit", "class of the chosen candidate"),
    Column("params", "text", "fit", "its parameters that differ from the defaults (JSON)"),
    Column(
        "train_<metric>",
        "number",
        "fit",
        "`mae`, `rmse`, `r2`; for classifiers `accuracy`, `f1_macro`, `log_loss`: on the training rows of all folds "
        "together; on all rows where none are held out",
    ),
    Column("holdout_<metric>", "number", "fit", "on the held-out rows of all folds together"),
    Column("baseline_<metric>", "number", "fit", "the best baseline's on the held-out rows"),
    Column("candidate", "text", "fit", "name of the chosen candidate"),
    Column(
        "own_best",
        "text",
        "fit",
        "name of the candidate that is best on the group's own held-out rows; where it is another one than "
        "`candidate`, the other groups' rows decided ([training.md](training.md))",
    ),
    Column("folds", "integer", "fit", "how many pairs of training and test rows judged it; 0 without held-out rows"),
    Column("baseline", "text", "fit", "the baseline that is hardest to beat: `mean`, `majority`, `last` or `seasonal`"),
    Column(
        "skill",
        "number",
        "fit",
        "`1 - error / baseline's error` in the deciding metric; above 0 the child beats the baseline. Of metrics "
        "where higher is better, the distance to 1 is the error; minus infinity where only the baseline has no error",
    ),
    Column(
        "duplicates",
        "integer",
        "fit",
        "exact copies of a row: removed, or, where they are observations of their own, only counted; of a parent those "
        "of its groups",
    ),
    Column("imbalance", "number", "fit", "of class labels: rows of the commonest class for each row of the rarest one"),
    Column(
        "started_from",
        "text",
        "fit",
        "with `warm_start`: sha256 of the earlier version's child that the fit on all rows went on from; empty where "
        "it started from nothing ([training.md](training.md))",
    ),
    Column("fingerprint", "text", "fit", "digest of the group's rows: features, target, time and weight, in order"),
    Column("fresh_rows", "integer", "fit", "rows newer than what the child before saw, on which both were judged"),
    Column("gain", "number", "fit", "how much less the new child errs on them, in units of the mean of both errors"),
    Column("gain_se", "number", "fit", "the standard error of that"),
    Column("p_value_incumbent", "number", "fit", "one-sided, of a new child that is no better than the one before"),
    Column("shard", "text", "gather", "the file that the child's bytes are in"),
    Column("bytes", "integer", "fit", "how many they are; 0 without a child"),
    Column("sha256", "text", "fit", "their digest; empty without a child"),
    Column("warnings", "text", "fit", "up to three distinct warnings of the estimator"),
    Column("trained_version", "text", "carry", "of a `carried` child: digest of the version that fitted it"),
    Column("trained_at", "text", "carry", "when the child was fitted (UTC); empty without a child"),
    Column("data_through", "text", "carry", "the newest row that the fit saw, by the time column; empty without one"),
    Column("rows_seen", "integer", "carry", "rows of the group in the table of that fit, of whatever kind"),
    Column("retrain_reason", "text", "carry", "of an [update](updates.md): why the group was retrained; else empty"),
    Column("decision", "text", "carry", "`new`, `replaced`, `incumbent_kept`, `carried`, `no_fresh_rows`; else empty"),
    Column("decided_by", "text", "carry", "of a contest: `pooled`, `own`, `worse`, or `fit`; else empty"),
    Column("missing_since", "text", "carry", "since when the group is gone from the updates' tables; else empty"),
    Column(
        "stack",
        "text",
        "stack",
        "empty where the child is also in a stack ([bundle](bundle.md)); else why not: `not asked for`, `no child`, "
        "`the children take frames`, `no stack for <class>`, `numba is not installed, or does not work`, `the stack's "
        "answers differ from the child's`, `no rows to compare on`, `the process that read it was killed (out of "
        "memory, or a crash in native code)`, ...",
    ),
    Column(
        "compared_rows",
        "integer",
        "compare",
        "held-out rows on which the child was compared with its nearest fitted parent; 0 where it was not "
        "([report.md](report.md))",
    ),
    Column(
        "error_saved",
        "number",
        "compare",
        "share of the parent's mean absolute error (of its wrong labels) that the child saves; negative where it is "
        "worse",
    ),
    Column("error_saved_global", "number", "compare", "the same against the global model"),
    Column(
        "error_saved_pooled",
        "number",
        "compare",
        "the same against one model of all groups that knows the group columns; null without one "
        "([report.md](report.md#local-or-global))",
    ),
    Column("p_value", "number", "compare", "of a paired test of the child against its parent"),
    Column(
        "p_value_adjusted", "number", "compare", "adjusted for the number of groups by Benjamini and Hochberg's method"
    ),
    Column(
        "better_than_parent",
        "text",
        "compare",
        '"yes" or "no" where the adjusted p-value is below 0.05, else "undecided"; empty where nothing was compared',
    ),
    Column(
        "weights",
        "text",
        "shrinkage",
        "weights of the levels as a JSON array, the global model first and the group last: `[0.09, 0.21, 0.7]`; null "
        "where a level has no model; empty without a model, as of a pruned child",
    ),
    Column("blended_rows", "integer", "shrinkage", "held-out rows that every model with a weight had held back"),
    Column("blended_<metric>", "number", "shrinkage", "of the blended predictions on these rows"),
    Column(
        "blended_skill",
        "number",
        "shrinkage",
        "share of the child's own error on the same rows that blending saves, in the deciding metric; below 0 it does "
        "harm",
    ),
    Column(
        "interval_radius",
        "number",
        "interval",
        "half the width of the group's prediction intervals; null without a model, or where even all groups together "
        "have too few held-out rows ([training.md](training.md#intervals))",
    ),
    Column("interval_rows", "integer", "interval", "how many held-out rows set the radius"),
    Column(
        "interval_level",
        "integer",
        "interval",
        "how many columns of the key these rows share: the group's own `level`, or less where it borrows; null "
        "without a radius",
    ),
    Column(
        "coverage",
        "number",
        "interval",
        "share of the group's held-out rows inside an interval that other rows have set",
    ),
    Column(
        "coverage_rows",
        "integer",
        "interval",
        "on how many it was counted; of a parent where possible the rows of groups that it answers for",
    ),
    Column("uri", "text", "refer", "where a `referenced` child lives ([references](references.md))"),
)


def column_names(task: str, *stages: Stage) -> list[str]:
    """Name the columns behind the group columns, in order: those of every ledger, and those of further stages.

    Parameters
    ----------
    task
        "regression" or "classification": whose metrics there are.
    stages
        Such as "shrinkage" and "interval", where a training was asked for them.
    """
    present = {*_ALWAYS, *stages}
    return [name for column in COLUMNS if column.stage in present for name in column.names(task)]


def _names(stage: Stage, task: str) -> tuple[str, ...]:
    return tuple(name for column in COLUMNS if column.stage == stage for name in column.names(task))


# What the comparison with the parents adds, and what shrinkage does.
COMPARISON_COLUMNS = _names("compare", "regression")
SHRINKAGE_COLUMNS = _names("shrinkage", "regression")


@dataclass(frozen=True)
class LedgerRow:
    """What a group's fit has to say: a value for each column of the stage "fit", and what is no column.

    Attributes
    ----------
    key
        The group's encoded key.
    metrics
        Metric column → value; those that could not be measured are left out.
    shard
        File that the child ends up in, once it is gathered.
    resident
        Bytes of memory that the child takes.
    tuning
        How the searches for the candidates' parameters went (`TuningRecord` as a dict, and `chosen`).
    contest
        How several candidates did on the held-out rows; None where nothing was chosen.
    transformed
        How many columns the child's `transform` gives.
    """

    key: str
    level: int
    status: str
    rows: int
    reason: str = ""
    error: str = ""
    seconds: float = 0.0
    estimator: str = ""
    params: str = "{}"
    metrics: Mapping[str, float] = field(default_factory=dict)
    candidate: str = ""
    own_best: str = ""
    folds: int = 0
    baseline: str = ""
    skill: float = math.nan
    duplicates: int = 0
    imbalance: float = math.nan
    started_from: str = ""
    fingerprint: str = ""
    fresh_rows: int = 0
    gain: float = math.nan
    gain_se: float = math.nan
    p_value_incumbent: float = math.nan
    shard: str = ""
    bytes: int = 0
    sha256: str = ""
    warnings: str = ""
    resident: int = 0
    tuning: Sequence[Mapping[str, Any]] = ()
    contest: Contest | None = None
    transformed: int = 0

    def cells(self) -> dict[str, Any]:
        """Give the values of the columns."""
        return {name: getattr(self, name) for name in _CELLS} | dict(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {**vars(self), "contest": None if self.contest is None else self.contest.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        contest = None if data["contest"] is None else Contest.from_dict(data["contest"])
        return cls(**{**data, "tuning": tuple(data["tuning"]), "contest": contest})


_BESIDE = ("key", "metrics", "resident", "tuning", "contest", "transformed")
_CELLS = [one.name for one in fields(LedgerRow) if one.name not in _BESIDE]
