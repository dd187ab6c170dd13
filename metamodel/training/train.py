"""Train: table → plan → tasks → back end → bundle and ledger."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metamodel.bundle.model import MetaModel
from metamodel.training.options.objects import flat_options, takes_objects
from metamodel.training.options.split_objects import Split
from metamodel.training.prepare import PreparedTraining
from metamodel.training.result import TrainingResult

__all__ = ["prepare", "train"]


@takes_objects
def train(  # noqa: PLR0913 - the one call that everybody makes; every argument but three has a default
    data: Any,
    group_by: str | Sequence[str],
    target: str,
    estimator: Any = "ridge",
    estimator_params: Mapping[str, Any] | None = None,
    features: Sequence[str] | None = None,
    *,
    holdout: float = 0.2,
    time_column: str | None = None,
    min_rows: int = 2,
    unknown: str = "null",
    null_keys: str = "error",
    codec: str = "cloudpickle",
    engine: str = "local",
    n_jobs: int = -1,
    output_dir: str | Path | None = None,
    random_state: int = 0,
    max_group_rows: int | None = None,
    stack: bool = True,
    prune: bool | str = "auto",
    pooled: bool | str = "auto",
    split: str | Split = "holdout",
    split_groups: str | None = None,
    metric: str | None = None,
    season: int = 0,
    duplicates: str = "auto",
    sample_weight: str | None = None,
    schema: Mapping[str, str] | None = None,
    previous: MetaModel | str | Path | None = None,
    warm_start: bool = False,
    retrain: Sequence[str] | str | None = None,
    max_age: Any = None,
    min_new_rows: float | None = None,
    retrain_list: Any = None,
    challenge: bool = True,
    evidence: str = "pooled",
    min_gain: float = 0.0,
    keep_missing: Any = "52w",
    strict: bool = False,
    overrides: Any = None,
    group_seconds: float | None = None,
    tune: Any = None,
    trials: int = 30,
    patience: int = 10,
    tune_seconds: float | None = None,
    budget_seconds: float | None = None,
    shrinkage: Any = None,
    shrinkage_params: Mapping[str, Any] | None = None,
    interval: float | None = None,
    explore: float = 0.0,
    explore_entity: Sequence[str] | str | None = None,
    keep_rows: bool = True,
    reference: bool = True,
    seen: bool | str = "auto",
) -> TrainingResult:
    """Fit one child model for every group of a table, and write them as one bundle.

    Parameters
    ----------
    data
        A DataFrame of pandas, polars, Arrow ...; the path of a CSV file, a Parquet file or a folder of Parquet files;
        a Delta table (``delta:PATH``, ``delta:PATH@v12``, ``delta:PATH@2026-11-01``); or the name of a built-in sample
        ("sales", "california"). With engine="spark" also a Spark DataFrame, or a table's name.
    group_by
        Columns whose values tell the groups apart.
    target
        Column to predict.
    estimator
        A name ("ridge", "random_forest", "hist_gradient_boosting", "logistic_regression", ...), a dotted path to a
        class, a scikit-learn estimator or pipeline, or several of these as candidates (a list, a dict with names, or
        "ridge,random_forest") of which held-out rows choose, the group's own and those of the other groups.
    estimator_params
        Parameters to set on it.
    features
        Feature columns; by default every column without another role.
    holdout
        Share of each group's rows to judge its child on, 0 for none. The child that is stored is fitted on all rows.
    time_column
        Hold back the latest rows by this column instead of random ones.
    min_rows
        Groups with fewer rows that have a target are recorded as skipped.
    unknown
        What predicting does with a group without a child: "null" answers null, "error" raises, "fallback" asks the
        parents (prefixes of the group columns, then one global model), which are then trained too.
    null_keys
        Rows with a null group column: "error" refuses the table, "group" makes null a value like any other, "drop"
        leaves them out.
    codec
        How children are stored: "cloudpickle", "joblib" or "skops".
    engine
        "local": processes of this machine. "spark": the active Spark session, or the one that Spark's own settings
        start (docs/spark.md).
    n_jobs
        Processes; -1 for one a core. On Spark: how many tasks run at a time, -1 for what the cluster says.
    output_dir
        Where to write the bundle; by default a temporary directory that goes with this process. With a directory, a
        training that was killed goes on where it was when the same call is made again.
    random_state
        Seed of the holdout, and of every estimator that has a `random_state` that is None.
    max_group_rows
        Groups with more rows are recorded as skipped, and their rows are not loaded by any worker.
    stack
        Whether children whose prediction is an array program (linear models; with numba tree ensembles) are also stored
        as one, so that a batch over many groups costs about what one model costs. The ledger's column `stack` says who
        is not, and why; see docs/benchmarks.md.
    prune
        Which children to leave out, so that their parent answers, for which unknown="fallback" is needed. "auto" leaves
        out those of fewer than 30 rows that have not shown to be better than their parent, where there are parents and
        held-out rows; True all that are not better on held-out rows; False none. See docs/training.md.
    pooled
        Whether to train one model of all groups that knows the group columns, and to let it answer groups for which it
        is better than their own child, or than the parent in its place, on held-out rows: True, False, or "auto", which
        trains it under unknown="fallback" where it costs little, and lets it answer where it is clearly better. With
        engine="spark" of at most 1,000,000 rows, which the driver collects.
    split
        How each group's rows are split to judge its candidates: "holdout" keeps back the share `holdout`, "shuffle:5"
        does so five times; "kfold:5" tests every row once, "leave_one_group_out" one value of `split_groups` after the
        other; "rolling:folds=3,horizon=4,step=4" is a backtest over the time column. Or an object: `Holdout(0.3)`,
        `KFold(5)`, `Rolling(folds=3, horizon=4)`; with `split_groups` also scikit-learn's `GroupKFold(5)`,
        `GroupShuffleSplit(5)` and `LeaveOneGroupOut()`.
    split_groups
        Column, such as a customer, whose equal values never lie on both sides of a split: neither of one that judges
        nor of one that searches parameters or stops early. Estimators whose `fit` takes `groups`, and those that split
        inside (``GridSearchCV(..., cv=GroupKFold(5))``), get it. A feature only where `features` names it.
    metric
        What candidates are compared by, and what `skill` is measured in: "mae", "rmse" or "r2"; "accuracy", "f1_macro"
        or "log_loss". By default "rmse" and "log_loss".
    season
        Length of a season in time steps, for the baseline that repeats the value of one season ago; 0 for none.
    duplicates
        Exact copies of a row within a group: "auto" removes them before splitting where chance does not explain them
        (a table of measurements, or with a time), and takes them for observations of their own where it does; "drop"
        removes them, "keep" only counts them.
    sample_weight
        Column of row weights, used in fits, metrics and baselines; never a feature.
    schema
        Expected kind of every group column and feature ({"store": "integer", "price": "number"}); a difference is a
        finding of the data checks.
    previous
        The model before this one, or its bundle's path; without `schema`, its columns are the expected ones.
    warm_start
        Whether the stored child of a group goes on from the previous model's one, where the estimator can; candidates
        are judged without it. The ledger's column `started_from` says from which child; see docs/training.md.
    retrain
        Fit only the groups that these rules name, and carry all others over from `previous`, byte for byte: "new" (no
        child before), "failed", "stale" (see `max_age` and `min_new_rows`), "changed" (other rows, or trained
        otherwise), "listed" (in `retrain_list`), "all". By default every group is fitted, and nothing is carried. See
        docs/updates.md, and `metamodel.update`, which takes all other options from the previous model.
    max_age, min_new_rows
        When a group is stale: beyond an age ("8w", "10d", a timedelta), or with more new rows than a share of those
        that its child saw (0.2), or than a number (1 and more).
    retrain_list
        Groups to retrain: a table or a file's path with the group columns, or with `key`; and `reasons`.
    challenge, evidence, min_gain
        Whether the child that a retrained group had is in a contest with the new one, on rows that it has not seen: by
        the time column newer ones, else those of which it knows no hash (`seen`); and who wins: "pooled", "own" or
        "worse". See docs/updates.md.
    keep_missing
        How long groups that are gone from the table keep their child ("52w"); None for ever.
    strict
        Whether findings of the data checks refuse the table; by default they are logged and recorded.
    overrides
        Exceptions for single groups: a DataFrame, a list of dicts or a file's path with the group columns and any of
        `estimator`, `estimator_params` (a dict or JSON), `min_rows` and `skip`.
    group_seconds
        Time limit for all fits of one group, which is recorded as failed beyond it; see docs/training.md for what is
        guaranteed.
    tune
        Search every group's parameters on its training part: True or "auto" for built-in search spaces, the path of a
        YAML or JSON file, or a dict such as ``{"ridge": {"alpha": (0.01, 100, "log")}}``. Or
        `Tuning("space.yaml", trials=50)`, with the limits in it. Needs the extra `tuning`; see docs/training.md.
    trials, patience
        At most so many trials for each group and candidate, and an end after so many without a gain (0: never before).
    tune_seconds, budget_seconds
        Limits in seconds of the search in one group, and of the whole training.
    shrinkage, shrinkage_params
        Blend each prediction of a regressor with those of the group's parents, which are then trained too: "constant"
        (with ``{"alpha": 0.3}``, the parents' share), "equal", "min_n_obs" (with ``{"min_n_obs": 50}``), "relative",
        or a function from the row counts of the levels, the global one first, to their weights. Or
        `Shrinkage("constant", alpha=0.3)`.
    interval
        Share of rows that prediction intervals shall cover, such as 0.9: every answer then has `lower` and `upper`,
        and the ledger says what share of held-out rows such intervals reached. For regression, with a holdout; see
        docs/training.md.
    explore
        Share of entities, such as 0.01, that parents answer wherever the model is served or scores a batch: a control
        group, whose outcomes the children did not cause. Each answer says so (`variant`), and `monitor` compares both;
        see docs/monitoring.md. Needs unknown="fallback" or shrinkage.
    explore_entity
        Columns that name whom a row is about, such as "customer_id"; by default they are no features.
    keep_rows
        Whether bundle and run hold rows of the table: held-out targets and predictions with their keys and times, and
        the first rows as the input example. False: neither; the example is made up. See docs/privacy.md.
    reference
        Also store what later rows are compared with: deciles, counts and commonest categories of each group's columns,
        and no row (docs/monitoring.md).
    seen
        Also store a 64-bit hash of each training row, by which a later update tells which rows a child has not seen
        (docs/updates.md): 8 bytes a row and level. "auto": where there is no time column that tells, and `keep_rows`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        The table or an option is wrong, or an option stands beside the object that holds it; nothing was written.
    AllGroupsFailed
        Not one group could be fitted; nothing was written but the message, which holds the commonest reasons.
    StorageFailed
        The disk is full, or fails. With `output_dir` the groups that are finished are kept, and the same call goes on.

    Examples
    --------
    >>> from metamodel.datasets import make_store_sales
    >>> sales = make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)
    >>> result = train(sales, ["store", "product"], "units", features=["price", "promotion"], n_jobs=1)
    >>> result.summary["groups_fitted"], result.ledger["status"].tolist()
    (2, ['fitted', 'fitted'])
    """
    return PreparedTraining(locals()).run()  # every argument by its name


def prepare(*args: Any, **given: Any) -> PreparedTraining:
    """Check what `train` would refuse, and train when it is told to.

    Parameters
    ----------
    args, given
        As for `train`.

    Raises
    ------
    InputError
        As `train`.
    """
    bound = inspect.signature(train).bind(*args, **flat_options(given))
    bound.apply_defaults()
    return PreparedTraining(bound.arguments)
