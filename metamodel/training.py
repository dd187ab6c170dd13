"""Train: table → plan → tasks → back end → bundle and ledger."""

import atexit
import datetime as dt
import itertools
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel import tables
from metamodel.backends import Backend, Job, Phases, Task, TaskResult, balance, get_backend, skip_groups
from metamodel.bundle_writing import ShardMerger, finish_bundle, library_versions, new_bundle, prune_children
from metamodel.checks import Finding, TableFacts, findings, kinds_of, refuse, table_facts
from metamodel.codecs import get_codec
from metamodel.datasets import SAMPLES, load_sample
from metamodel.estimators import packages
from metamodel.evidence import gather_holdout, gather_importance, write_evidence
from metamodel.exceptions import InputError
from metamodel.group_copies import copies_in_groups
from metamodel.group_figures import write_figures
from metamodel.heldout import kept_share
from metamodel.intervals import with_intervals
from metamodel.ledger import assemble, judge, refuse_empty, summarize, tuning_table
from metamodel.manifest import BLENDED_VERSION, Manifest, Target
from metamodel.model import MetaModel
from metamodel.overrides import Override, read_overrides
from metamodel.packing import stack_plan
from metamodel.planning import GroupRows, Plan, TablePlan, make_plan
from metamodel.previous import expected_kinds, open_previous, starts_from
from metamodel.progress import TrainingProgress
from metamodel.shrinkage import Shrinkage, weight_columns
from metamodel.spec import Candidate, TrainingOptions, one_of
from metamodel.starts import Starts
from metamodel.tuning import read_space, search_end
from metamodel.weighing import check_weights, shrink

__all__ = ["TrainingResult", "train"]

_LOG = logging.getLogger(__name__)
_Fit = Callable[[Path, float], Iterator[TaskResult]]
_PACKAGES = ("metamodel", "mlflow", "scikit-learn", "pandas", "numpy", "pyarrow", "joblib", "cloudpickle", "skops")


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves behind.

    Attributes
    ----------
    ledger
        DataFrame, one row for every group and level.
    summary
        Counts of groups and rows, and the aggregates of every metric over the groups.
    bundle_path
        The bundle's directory.
    manifest
        What the bundle says of itself.
    data
        The training table, as it was given; of a Spark table its first rows.
    source
        Where the table came from, for the run's dataset.
    holdout
        DataFrame, one row for every held-out row of every child, with what the child and its parents predicted for
        it before they had seen it; see docs/report.md.
    importance
        DataFrame, how much each feature counts for each group; see docs/report.md.
    findings
        What the data checks found; see `metamodel.checks.Finding`.
    tuning
        DataFrame, one row for every group and candidate whose parameters were searched; without tuning, no rows.
    """

    ledger: pd.DataFrame
    summary: dict[str, Any]
    bundle_path: Path
    manifest: Manifest
    data: pd.DataFrame = field(repr=False)
    source: str
    holdout: pd.DataFrame = field(repr=False)
    importance: pd.DataFrame = field(repr=False)
    findings: tuple[Finding, ...] = ()
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)


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
    prune: bool = False,
    split: str = "holdout",
    metric: str | None = None,
    season: int = 0,
    duplicates: str = "drop",
    sample_weight: str | None = None,
    schema: Mapping[str, str] | None = None,
    previous: MetaModel | str | Path | None = None,
    warm_start: bool = False,
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
) -> TrainingResult:
    """Fit one child model for every group of a table, and write them as one bundle.

    Parameters
    ----------
    data
        A DataFrame; the path of a CSV file, a Parquet file or a folder of Parquet files; or the name of a built-in
        sample ("sales", "california"). With engine="spark" also a Spark DataFrame, a table's name, or a Delta folder.
    group_by
        Columns whose values tell the groups apart.
    target
        Column to predict.
    estimator
        A name ("ridge", "random_forest", "hist_gradient_boosting", "logistic_regression", ...), a dotted path to a
        class, a scikit-learn estimator or pipeline, or several of these as candidates (a list, a dict with names, or
        "ridge,random_forest") of which every group's held-out rows choose.
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
        Whether to leave out children that are not better than their parent on held-out rows. Their rows are answered by
        the parent, so unknown="fallback" is needed.
    split
        How each group's rows are split to judge its candidates: "holdout" keeps back the share `holdout`; "kfold:5"
        tests every row once; "rolling:folds=3,horizon=4,step=4" is a backtest over the time column.
    metric
        What candidates are compared by, and what `skill` is measured in: "mae", "rmse" or "r2"; "accuracy", "f1_macro"
        or "log_loss". By default "rmse" and "log_loss".
    season
        Length of a season in time steps, for the baseline that repeats the value of one season ago; 0 for none.
    duplicates
        Exact copies of a row within a group: "drop" removes them before splitting, "keep" only counts them.
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
        YAML or JSON file, or a dict such as ``{"ridge": {"alpha": (0.01, 100, "log")}}``. Needs the extra `tuning`;
        see docs/training.md.
    trials, patience
        At most so many trials for each group and candidate, and an end after so many without a gain (0: never before).
    tune_seconds, budget_seconds
        Limits in seconds of the search in one group, and of the whole training.
    shrinkage, shrinkage_params
        Blend each prediction of a regressor with those of the group's parents, which are then trained too: "constant"
        (with ``{"alpha": 0.3}``, the parents' share), "equal", "min_n_obs" (with ``{"min_n_obs": 50}``), "relative",
        or a function from the row counts of the levels, the global one first, to their weights.
    interval
        Share of rows that prediction intervals shall cover, such as 0.9: every answer then has `lower` and `upper`,
        and the ledger says what share of held-out rows such intervals reached. For regression, with a holdout; see
        docs/training.md.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        The table or an option is wrong; nothing was written.
    AllGroupsFailed
        Not one group could be fitted; nothing was written but the message, which holds the commonest reasons.

    Examples
    --------
    >>> from metamodel.datasets import make_store_sales
    >>> sales = make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)
    >>> result = train(sales, ["store", "product"], "units", features=["price", "promotion"], n_jobs=1)
    >>> result.summary["groups_fitted"], result.ledger["status"].tolist()
    (2, ['fitted', 'fitted'])
    """
    started = time.time()
    options = TrainingOptions.create(
        group_by,
        target=target,
        holdout=holdout,
        time_column=time_column or None,
        min_rows=min_rows,
        unknown=unknown,
        null_keys=null_keys,
        codec=codec,
        engine=engine,
        n_jobs=n_jobs,
        random_state=random_state,
        max_group_rows=max_group_rows,
        stack=stack,
        prune=prune,
        warm_start=warm_start,
        split=split,
        metric=metric or None,
        season=season,
        duplicates=duplicates,
        sample_weight=sample_weight or None,
        group_seconds=group_seconds or None,
        tune=read_space(tune),
        trials=trials,
        patience=patience,
        tune_seconds=tune_seconds,
        budget_seconds=budget_seconds,
        shrinkage=Shrinkage.create(shrinkage, shrinkage_params),
        interval=interval,
    )
    end = search_end(started, options.budget_seconds)
    get_codec(codec)
    one_of("engine", engine, ("local", "spark"))
    path = Path(os.path.abspath(output_dir)) if output_dir else _temporary_bundle()
    before = open_previous(previous, warm_start)
    expected = expected_kinds(schema, before)
    exceptions = _exceptions(overrides, options.group_by)
    if engine == "spark":
        from metamodel.backends.spark import SparkTraining

        spark = SparkTraining(data, options, estimator, estimator_params, features, exceptions)
        found = _check(spark.plan, spark.facts(), expected, strict)
        fit = partial(spark.fit, end, starts_from(before, spark.plan))
        return _run(spark.plan, fit, path, spark.head, spark.source, found)
    backend = get_backend(engine, n_jobs)
    frame, source = _read(data, options)
    plan = make_plan(frame, options, estimator, estimator_params, features, exceptions)
    facts = table_facts(frame, plan.features.names, target, options.group_by)
    found = _check(plan, replace(facts, copies=copies_in_groups(plan)), expected, strict)
    fit = partial(_on_this_machine, plan, backend, end, starts_from(before, plan))
    return _run(plan, fit, path, frame, source, found)


def _exceptions(overrides: Any, group_by: Sequence[str]) -> tuple[Override, ...]:
    """Read a table of overrides; in a file keys are text, whatever they look like."""
    if not isinstance(overrides, str | Path):
        return read_overrides(overrides, group_by)
    return (
        read_overrides(tables.read_table(overrides, group_by, group_by), group_by, from_text=True) if overrides else ()
    )


def _check(plan: Plan, facts: TableFacts, expected: Mapping[str, str] | None, strict: bool) -> list[Finding]:
    found = findings(facts, plan.options.target, kinds_of(plan.keys, plan.features), expected)
    if strict:
        refuse(found)
    for one in found:
        _LOG.warning("warning: %s", one.message)
    return found


def _read(data: Any, options: TrainingOptions) -> tuple[pd.DataFrame, str]:
    if isinstance(data, pd.DataFrame):
        return data, "DataFrame"
    if isinstance(data, str) and data in SAMPLES:
        return read_data(data, options.group_by), f"sample:{data}"
    if isinstance(data, str | Path):
        return read_data(data, options.group_by), str(data)
    if type(data).__module__.startswith("pyspark."):
        raise InputError('data is a Spark DataFrame, which only Spark can read. Train with engine="spark".')
    raise InputError(f"data is a {type(data).__name__}. Give a pandas DataFrame, a path, or the name of a sample.")


def read_data(data: str | Path, group_by: Sequence[str]) -> pd.DataFrame:
    """Read a built-in sample by its name, or a table by its path.

    Raises
    ------
    InputError
        There is no such file, or it is no table.
    """
    return load_sample(data) if isinstance(data, str) and data in SAMPLES else tables.read_table(data, group_by)


def _temporary_bundle() -> Path:
    directory = tempfile.mkdtemp(prefix="metamodel-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory) / "bundle"


def _run(
    plan: Plan, fit: _Fit, path: Path, data: pd.DataFrame, source: str, found: Sequence[Finding]
) -> TrainingResult:
    check_weights(plan)
    sizes = plan.sizes_of_all_levels()
    limit = plan.options.max_group_rows
    oversized = {key: rows for key, rows in sizes.items() if limit is not None and rows > limit}
    share = kept_share(plan.rows, plan.options.holdout if plan.options.scheme.kind == "holdout" else 1.0)
    with new_bundle(path) as (directory, tasks):
        first = [skip_groups(oversized, limit or 0, tasks)] if oversized else []
        results, shards = _gather(itertools.chain(first, fit(tasks, share)), len(sizes), directory)
        located = zip(results, shards, strict=True)
        tuning = tuning_table((row for result in results for row in result.ledger), plan)
        ledger = assemble(({**row, "shard": shard} for result, shard in located for row in result.ledger), plan)
        refuse_empty(ledger)
        holdout, importance = _evidence(results, plan)
        shrunk = shrink(ledger, holdout, plan)
        ledger, pruned = judge(shrunk.ledger, holdout, plan, shrunk.answered)
        prune_children(directory, pruned)
        ledger, radii, reached = with_intervals(ledger, shrunk.answers, plan.keys, plan.options.interval)
        summary = {**summarize(ledger, plan), **shrunk.summary, **reached, "data_findings": len(found)}
        samples = {key: rows for result in results for key, rows in result.samples.items()}
        described = replace(_manifest(plan, ledger, results), findings=tuple(one.to_dict() for one in found))
        manifest, ledger = stack_plan(directory, plan, described, ledger, samples)
        write_evidence(directory, shrunk.holdout, importance)
        weights = shrunk.weights.drop(index=list(pruned), errors="ignore")
        manifest = _with_figures(directory, manifest, [weights, radii])
        manifest = finish_bundle(directory, manifest, ledger)
    return TrainingResult(
        ledger, summary, path, manifest, data, source, shrunk.holdout, importance, tuple(found), tuning
    )


def _with_figures(directory: Path, manifest: Manifest, tables: Sequence[pd.DataFrame]) -> Manifest:
    """Write the numbers of groups that answers need, one column each, under the groups' encoded keys."""
    figures = pd.concat([table for table in tables if len(table.columns)] or [pd.DataFrame()], axis=1)
    if not len(figures.columns):
        return manifest
    blended = weight_columns(0)[0] in figures
    version = BLENDED_VERSION if blended else manifest.format_version
    return replace(manifest, figures=write_figures(directory, figures), format_version=version)


def _evidence(results: Sequence[TaskResult], plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame]:
    held = [(result.keys, result.evidence.holdout) for result in results]
    importances = [(result.keys, result.evidence.importance) for result in results]
    holdout = gather_holdout(held, len(plan.keys.columns), plan.levels)
    return holdout, gather_importance(importances, plan.features.names)


def _on_this_machine(
    plan: TablePlan, backend: Backend, end: float, starts: Starts | None, directory: Path, share: float
) -> Iterator[TaskResult]:
    """Run the tasks that were not done before; results come as they are ready."""
    job = Job(plan, directory, share, starts)
    limit = plan.options.max_group_rows
    groups = [group for group in plan.groups() if limit is None or len(group.rows) <= limit]
    phases = Phases(plan, {group.key: len(group.rows) for group in groups}, backend.parallelism, end)
    for i, levels in enumerate(phases.levels):
        for result in _phase([group for group in groups if len(group.key) in levels], job, backend, phases, i):
            phases.learn(result.ledger)
            yield result


def _phase(groups: list[GroupRows], job: Job, backend: Backend, phases: Phases, number: int) -> Iterator[TaskResult]:
    end = phases.end_of(number)
    shares = balance([len(group.rows) for group in groups], backend.parallelism, once=math.isfinite(end))
    missing = []
    for mine in (tuple(groups[i] for i in share) for share in shares):
        task = Task(mine, first=phases.first_of([group.key for group in mine]), end=end)
        done = job.finished(task)
        if done is None:
            missing.append(task)
        else:
            yield done
    yield from backend.run(missing, job)


def _gather(steps: Iterable[TaskResult], total: int, directory: Path) -> tuple[list[TaskResult], list[str]]:
    """Move every task's children into the bundle's shards as they come."""
    results: list[TaskResult] = []
    shards: list[str] = []
    merger = ShardMerger(directory)
    try:
        with TrainingProgress(total) as progress:
            for result in steps:
                shards.append(merger.add(result.shard))
                results.append(result)
                progress.add([row["status"] for row in result.ledger])
    except BaseException:
        merger.abandon()
        raise
    merger.close()
    return results, shards


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "estimator": candidate.label,
        "params": candidate.params,
        "packages": packages(candidate.estimator),
        "predict_proba": hasattr(candidate.estimator, "predict_proba"),
    }


def _candidates(candidates: Iterable[Candidate]) -> dict[str, dict[str, Any]]:
    """Describe candidates by their names; an override may fit an estimator of the same name otherwise.

    The first of a name (one of all groups', if there is one) says which parameters it has. What is needed to load and
    ask the children must hold for all of them.
    """
    described: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        own = _candidate(candidate)
        first = described.setdefault(candidate.name, own)
        first["packages"] = sorted({*first["packages"], *own["packages"]})
        first["predict_proba"] = first["predict_proba"] and own["predict_proba"]
    return described


def _manifest(plan: Plan, ledger: pd.DataFrame, results: Sequence[TaskResult]) -> Manifest:
    stored = set(ledger["sha256"])
    resident = sum(row["resident"] for result in results for row in result.ledger if row["sha256"] in stored)
    statuses = ledger["status"].value_counts()
    target = Target(plan.options.target, plan.spec.task, plan.target.label_kind, plan.target.classes)
    return Manifest(
        keys=plan.keys,
        features=plan.features,
        target=target,
        unknown=plan.options.unknown,
        levels=plan.levels,
        codec=plan.options.codec,
        spec_digest=plan.digest,
        options={
            **plan.options.to_dict(),
            "candidates": _candidates(plan.spec.every_candidate),
        },
        counts={
            **{status: int(statuses.get(status, 0)) for status in ("fitted", "carried", "skipped", "failed")},
            "rows": plan.rows,
            "resident_bytes": int(resident),
        },
        versions=library_versions(_PACKAGES),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
