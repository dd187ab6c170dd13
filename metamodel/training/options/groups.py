"""Every option of training, declared once: `TrainingOptions` has those of all groups, flat, and `Inputs` the rest.

To add an option, declare it here, and name it with the same default in the signature and docstring of
`metamodel.train`. Its command line option and help, its place in files of options, its check, its part in the spec
digest and its row in docs/options.md (`python docs/make_options.py`) come from the declaration; a test compares the
signature. Imports nothing heavy, so that `metamodel --help` is quick.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from metamodel.common.choices import CodecName, Duplicates, EngineName, NullKeys, UnknownPolicy
from metamodel.common.option import check_options, option
from metamodel.training.options.retraining import Retraining
from metamodel.training.options.validators import (
    HOLDOUT_SHARE,
    auto_switch,
    positive_or_all,
    seconds,
    seed,
    share,
    switch,
    whole,
)

if TYPE_CHECKING:
    from metamodel.evaluation.shrinkage import Shrinkage

__all__ = [
    "Answering",
    "Expectations",
    "Groups",
    "Inputs",
    "Judging",
    "Model",
    "Output",
    "Roles",
    "ShrinkageArguments",
    "Tuning",
    "WarmStart",
    "Work",
]


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which column is what."""

    group_by: tuple[str, ...] = option(form="names", help="Group columns, separated by commas.")
    target: str = option(help="Column to predict.")


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which groups get a child, and who answers for those that have none."""

    unknown: UnknownPolicy = option(
        "null",
        choices=get_args(UnknownPolicy),
        decisive=False,
        help="Groups without a child: null, error or fallback.",
    )
    null_keys: NullKeys = option("error", choices=get_args(NullKeys), help="Null group columns: error, group or drop.")
    min_rows: int = option(
        2,
        form="whole",
        check=whole(1, "row count", "Use a whole number of at least 1."),
        help="Skip groups with fewer rows.",
    )
    max_group_rows: int | None = option(
        None,
        form="whole",
        check=whole(1, "row limit", "Use a whole number of at least 1, or None."),
        decisive=False,
        help="Skip groups with more rows.",
    )
    prune: bool | Literal["auto"] = option(
        "auto",
        form="auto_switch",
        check=auto_switch,
        decisive=False,
        help="Store no child that is not better than its parent; auto: no small one that has not shown to be.",
    )
    pooled: bool | Literal["auto"] = option(
        "auto",
        form="auto_switch",
        check=auto_switch,
        decisive=False,
        help="One model of all groups that knows the group columns answers where it is better; auto: clearly so.",
    )


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How children are judged, and candidates compared."""

    time_column: str | None = option(None, help="Hold back the latest rows by this column.")
    holdout: float = option(
        0.2,
        form="number",
        check=HOLDOUT_SHARE,
        help="Share of each group's rows to judge it on.",
    )
    split: str = option(
        "holdout",
        help="holdout, kfold:5, shuffle:5 (that many holdouts), leave_one_group_out, or "
        "rolling:folds=3,horizon=4,step=4.",
    )
    split_groups: str | None = option(
        None, help="Column whose equal values never lie on both sides of a split (customer, patient)."
    )
    metric: str | None = option(None, help="What candidates are compared by; default: rmse or log_loss.")
    season: int = option(
        0,
        form="whole",
        check=whole(0, "number of time steps", "Use a whole number, 0 for none."),
        help="Length of a season in time steps, for the baseline.",
    )
    duplicates: Duplicates = option(
        "auto", choices=get_args(Duplicates), decisive=False, help="Exact copies of a row: auto, drop or keep."
    )
    sample_weight: str | None = option(None, help="Column of row weights; never a feature.")


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """Going on from the model before."""

    warm_start: bool = option(False, form="switch", check=switch, help="Go on from --previous' children.")


@dataclass(frozen=True)
class Tuning:
    """A search of every group's parameters on its training rows, as `tune=` takes it: the space, and its limits.

    Parameters
    ----------
    tune
        The search space: the path of a YAML or JSON file, or a dict such as ``{"ridge": {"alpha": (0.01, 100,
        "log")}}``; None, True and "auto" are the built-in spaces.
    trials, patience
        At most so many trials for each group and candidate, and an end after so many without a gain (0: never before).
    tune_seconds, budget_seconds
        Limits in seconds of the search in one group, and of the whole training.

    Examples
    --------
    >>> Tuning("space.yaml", trials=50)
    Tuning(tune='space.yaml', trials=50, patience=10, tune_seconds=None, budget_seconds=None)
    >>> Tuning(trials=0)
    Traceback (most recent call last):
    metamodel.exceptions.InputError: trials=0 is no number of trials. Use a whole number of at least 1.
    """

    tune: Any = option(
        None, form="space", help="Search parameters: auto, or a YAML or JSON file with the search space."
    )
    trials: int = option(
        30,
        form="whole",
        check=whole(1, "number of trials", "Use a whole number of at least 1."),
        help="Trials a group, at most.",
    )
    patience: int = option(
        10,
        form="whole",
        check=whole(0, "number of trials", "Use a whole number of at least 0."),
        help="End after trials without gain.",
    )
    tune_seconds: float | None = option(None, form="seconds", check=seconds, help="Limit of the search in one group.")
    budget_seconds: float | None = option(
        None, form="seconds", check=seconds, help="Limit of the whole training, searches included."
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class Answering:
    """What is answered beside a child's own prediction."""

    shrinkage: "Shrinkage | None" = option(
        None, decisive=False, help="Blend with parents: constant, equal, min_n_obs or relative."
    )
    interval: float | None = option(
        None,
        form="share",
        check=share(zero=False, what="share of rows to cover", remedy="Use a number between 0 and 1: 0.9."),
        decisive=False,
        help="Intervals that cover this share of rows, such as 0.9.",
    )
    explore: float = option(
        0.0,
        form="share",
        check=share(zero=True, what="share of entities", remedy="Use a number from 0 (none) to below 1, such as 0.01."),
        decisive=False,
        help="Share of entities that parents answer, as a control group (docs/monitoring.md).",
    )
    explore_entity: tuple[str, ...] | None = option(
        None, form="names", decisive=False, help="Columns that name whom a row is about: customer_id; no features."
    )


@dataclass(frozen=True, kw_only=True)
class Work:
    """How the work is done."""

    engine: EngineName = option("local", choices=get_args(EngineName), decisive=False, help="local or spark.")
    n_jobs: int = option(-1, form="whole", check=positive_or_all, decisive=False, help="Processes; -1: one a core.")
    group_seconds: float | None = option(
        None, form="seconds", check=seconds, help="Time limit for the fits of one group; 0: none."
    )
    random_state: int = option(0, form="whole", check=seed, help="Seed.")
    codec: CodecName = option("cloudpickle", choices=get_args(CodecName), help="cloudpickle, joblib or skops.")
    stack: bool = option(
        True,
        form="switch",
        check=switch,
        decisive=False,
        help="Also store linear models and tree ensembles as arrays; --no-stack: not.",
    )
    keep_rows: bool = option(
        True,
        form="switch",
        check=switch,
        decisive=False,
        help="Also store held-out rows, and show real rows as the example; --no-keep-rows: none (docs/privacy.md).",
    )
    reference: bool = option(
        True,
        form="switch",
        check=switch,
        decisive=False,
        help="Also store what later rows are compared with (metamodel monitor); --no-reference: not.",
    )
    seen: bool | Literal["auto"] = option(
        "auto",
        form="auto_switch",
        check=auto_switch,
        decisive=False,
        help="Also store a hash of each training row, by which an update tells fresh rows; auto: without a time.",
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The table, and what is fitted to it."""

    data: Any = option(
        decisive=False,
        help="CSV, Parquet file or folder; delta:PATH; a built-in sample (sales, california); a Spark table.",
    )
    features: Any = option(None, form="names", help="Feature columns; default: every column without another role.")
    estimator: Any = option("ridge", form="texts", help="Name or dotted path; several behind commas are candidates.")
    estimator_params: Mapping[str, Any] | None = option(
        None, form="object", help='JSON object, such as {"alpha": 2.0}.'
    )
    overrides: Any = option(None, form="table", help="File of exceptions: group columns, estimator, min_rows, skip ...")


@dataclass(frozen=True, kw_only=True)
class Expectations:
    """What the table is expected to be."""

    schema: Mapping[str, str] | None = option(
        None, form="object", decisive=False, help='Expected kinds, such as {"price": "number"}.'
    )
    strict: bool = option(False, form="switch", check=switch, decisive=False, help="Refuse a table with findings.")
    previous: Any = option(
        None, decisive=False, help="Model before this one, whose columns are expected: MLflow URI or path."
    )


@dataclass(frozen=True, kw_only=True)
class ShrinkageArguments:
    """Arguments of the option `shrinkage`."""

    shrinkage_params: Mapping[str, Any] | None = option(
        None, form="object", decisive=False, help='JSON object, such as {"alpha": 0.3}.'
    )


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where the bundle goes."""

    output_dir: str | Path | None = option(
        None, decisive=False, help="Keep the bundle here; the same command resumes after a crash."
    )


@dataclass(frozen=True, kw_only=True)
class Inputs(Model, Expectations, Retraining, ShrinkageArguments, Output):
    """What `metamodel.train` takes beside its plain values: tables, estimators, models, places."""

    def __post_init__(self) -> None:
        check_options(self)
