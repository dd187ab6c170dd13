"""Train: table → plan → tasks → back end → bundle and ledger."""

import atexit
import datetime as dt
import heapq
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel import tables
from metamodel.backends import Backend, Job, Task, TaskResult, get_backend
from metamodel.bundle import ShardMerger, finish_bundle, library_versions, new_bundle
from metamodel.codecs import get_codec
from metamodel.datasets import SAMPLES, load_sample
from metamodel.estimators import packages
from metamodel.evaluation import aggregate
from metamodel.exceptions import AllGroupsFailed, InputError
from metamodel.keys import GroupKey, KeySchema, decode_key
from metamodel.manifest import Manifest, Target
from metamodel.packing import stack_plan
from metamodel.planning import GroupRows, Plan, make_plan
from metamodel.progress import TrainingProgress
from metamodel.spec import Candidate, TrainingOptions
from metamodel.wording import count

__all__ = ["TrainingResult", "train"]

# A group costs about as much as this many rows, whatever its size (clone, checks, serializing).
_GROUP_COST = 200
# The actual-against-predicted plot shows about this many points.
_PLOTTED_ROWS = 5000
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
        The training table, as it was given.
    source
        Where the table came from, for the run's dataset.
    holdout
        DataFrame of some holdout rows: `key`, `actual`, `predicted`.
    """

    ledger: pd.DataFrame
    summary: dict[str, Any]
    bundle_path: Path
    manifest: Manifest
    data: pd.DataFrame = field(repr=False)
    source: str
    holdout: pd.DataFrame = field(repr=False)


def train(  # noqa: PLR0913 - the one call that everybody makes; every argument but three has a default
    data: pd.DataFrame | str | Path,
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
    stack: bool = True,
) -> TrainingResult:
    """Fit one child model for every group of a table, and write them as one bundle.

    Parameters
    ----------
    data
        A DataFrame; the path of a CSV file, a Parquet file or a folder of Parquet files; or the name of a built-in
        sample ("sales", "california").
    group_by
        Columns whose values tell the groups apart.
    target
        Column to predict.
    estimator
        A name ("ridge", "random_forest", "hist_gradient_boosting", "logistic_regression", ...), a dotted path to a
        class, a scikit-learn estimator or pipeline, or a dict of these as candidates of which every group's holdout
        chooses.
    estimator_params
        Parameters to set on it.
    features
        Feature columns; by default every column that is not a group column, the target or the time column.
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
        "local": processes of this machine.
    n_jobs
        Processes; -1 for one a core.
    output_dir
        Where to write the bundle; by default a temporary directory that goes with this process. With a directory, a
        training that was killed goes on where it was when the same call is made again.
    random_state
        Seed of the holdout, and of every estimator that has a `random_state` that is None.
    stack
        Whether children whose prediction is an array program are also stored as one, so that a batch over many groups
        costs about what one model costs; see docs/benchmarks.md.

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
        stack=stack,
    )
    get_codec(codec)
    backend = get_backend(engine, n_jobs)
    frame, source = _read(data, options)
    plan = make_plan(frame, options, estimator, estimator_params, features)
    path = Path(os.path.abspath(output_dir)) if output_dir else _temporary_bundle()
    return _run(plan, backend, path, frame, source)


def _read(data: pd.DataFrame | str | Path, options: TrainingOptions) -> tuple[pd.DataFrame, str]:
    if isinstance(data, pd.DataFrame):
        return data, "DataFrame"
    if isinstance(data, str) and data in SAMPLES:
        return load_sample(data), f"sample:{data}"
    if isinstance(data, str | Path):
        return tables.read_table(data, options.group_by), str(data)
    raise InputError(f"data is a {type(data).__name__}. Give a pandas DataFrame, a path, or the name of a sample.")


def _temporary_bundle() -> Path:
    directory = tempfile.mkdtemp(prefix="metamodel-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory) / "bundle"


def _run(plan: Plan, backend: Backend, path: Path, frame: pd.DataFrame, source: str) -> TrainingResult:
    groups = list(plan.groups())
    shown = max(1, _PLOTTED_ROWS // max(1, len(plan.grouping.keys)))
    with new_bundle(path) as (directory, tasks):
        job = Job(plan, tasks, shown)
        results, shards = _fit(_tasks(groups, backend.parallelism), job, backend, directory)
        ledger = _ledger(results, shards, plan)
        _refuse_empty(ledger)
        summary = _summary(ledger, plan)
        manifest, ledger = stack_plan(directory, plan, groups, _manifest(plan, ledger, results), ledger)
        manifest = finish_bundle(directory, manifest, ledger)
    holdout = pd.DataFrame(
        [row for result in results for row in result.holdout if len(decode_key(row["key"])) == len(plan.keys.columns)],
        columns=["key", "actual", "predicted"],
    )
    return TrainingResult(ledger, summary, path, manifest, frame, source, holdout)


def _tasks(groups: Sequence[GroupRows], parallelism: int) -> list[Task]:
    """Balance groups over tasks by rows: the largest first, each to the task that has least."""
    number = min(len(groups), max(8 * parallelism, len(groups) // 500))
    heap = [(0, i) for i in range(number)]
    shares: list[list[GroupRows]] = [[] for _ in range(number)]
    for group in sorted(groups, key=lambda group: len(group.rows), reverse=True):
        cost, i = heapq.heappop(heap)
        shares[i].append(group)
        heapq.heappush(heap, (cost + len(group.rows) + _GROUP_COST, i))
    return [Task(tuple(share)) for share in shares]


def _fit(tasks: Sequence[Task], job: Job, backend: Backend, directory: Path) -> tuple[list[TaskResult], list[str]]:
    """Run the tasks that were not done before, and gather every task's shard."""
    results: list[TaskResult] = []
    shards: list[str] = []
    merger = ShardMerger(directory)
    try:
        with TrainingProgress(sum(len(task.groups) for task in tasks)) as progress:

            def gather(result: TaskResult) -> None:
                shards.append(merger.add(result.shard))
                results.append(result)
                progress.add([row["status"] for row in result.ledger])

            missing = []
            for task in tasks:
                done = job.finished(task)
                missing.append(task) if done is None else gather(done)
            for result in backend.run(missing, job):
                gather(result)
    except BaseException:
        merger.abandon()
        raise
    merger.close()
    return results, shards


def _ledger(results: Sequence[TaskResult], shards: Sequence[str], plan: Plan) -> pd.DataFrame:
    rows = [{**row, "shard": shard} for result, shard in zip(results, shards, strict=True) for row in result.ledger]
    keys = [decode_key(row["key"]) for row in rows]
    ledger = pd.DataFrame(rows)
    for i, column in enumerate(plan.keys.columns):
        values = [key[i] if i < len(key) else None for key in keys]
        ledger[column.name] = pd.array(values, dtype=_KEY_DTYPES[column.kind]) if column.kind in _KEY_DTYPES else values
    for name in plan.ledger_columns:
        if name not in ledger:
            ledger[name] = np.nan
    # Tasks end in any order; the ledger has one order: children first, then by key.
    order = sorted(range(len(keys)), key=lambda i: (-len(keys[i]), [_sortable(value) for value in keys[i]]))
    ordered = ledger.iloc[order].reset_index(drop=True)
    return ordered[plan.ledger_columns].assign(error=ordered["error"].fillna(""))


_KEY_DTYPES = {"integer": "Int64", "boolean": "boolean", "string": "object", "date": "object"}


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is None, "" if value is None else value)


def _refuse_empty(ledger: pd.DataFrame) -> None:
    if (ledger["status"] == "fitted").any():
        return
    reasons = ledger["error"].where(ledger["error"] != "", ledger["reason"])
    numbers = reasons.str.rstrip(".").value_counts().head(3)
    commonest = "; ".join(f"{count(int(number), 'group')}: {reason}" for reason, number in numbers.items())
    raise AllGroupsFailed(
        f"None of {count(len(ledger), 'group')} could be fitted, so there is no model to write. "
        f"Commonest reasons: {commonest}. Correct the table or the estimator."
    )


def _summary(ledger: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    depth = len(plan.keys.columns)
    children = ledger[ledger["level"] == depth]
    statuses = children["status"].value_counts()
    summary = {
        "groups": len(children),
        **{f"groups_{status}": int(statuses.get(status, 0)) for status in ("fitted", "carried", "skipped", "failed")},
        "rows": len(plan.grouping.codes),
        "rows_dropped": plan.dropped_rows,
        "parents_fitted": int(((ledger["level"] < depth) & (ledger["status"] == "fitted")).sum()),
        "seconds_fitting": float(ledger["seconds"].sum()),
        "model_bytes": int(ledger["bytes"].sum()),
        **_fallback_rates(ledger, plan),
    }
    return summary | aggregate(children[children["status"] == "fitted"], plan.spec.task)


def _fallback_rates(ledger: pd.DataFrame, plan: Plan) -> dict[str, float]:
    """How often a parent, or nobody, would answer for the training groups."""
    fitted = set(_keys_of(ledger[ledger["status"] == "fitted"], plan.keys))
    rows = dict(zip(plan.grouping.keys, plan.grouping.counts.tolist(), strict=True))
    groups_served = rows_served = groups_unanswered = rows_unanswered = 0
    for key, number in rows.items():
        assert isinstance(key, tuple)
        if key in fitted:
            continue
        if any(key[:level] in fitted for level in plan.levels):
            groups_served, rows_served = groups_served + 1, rows_served + number
        else:
            groups_unanswered, rows_unanswered = groups_unanswered + 1, rows_unanswered + number
    total = sum(rows.values())
    return {
        "fallback_groups": groups_served,
        "fallback_row_share": rows_served / total,
        "unanswered_groups": groups_unanswered,
        "unanswered_row_share": rows_unanswered / total,
    }


def _keys_of(ledger: pd.DataFrame, schema: KeySchema) -> list[GroupKey]:
    columns = [ledger[name].astype(object).where(ledger[name].notna(), None) for name in schema.names]
    return [
        tuple(schema.columns[i].canonical(value) for i, value in enumerate(values[:level]))
        for level, *values in zip(ledger["level"], *columns, strict=True)
    ]


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {"estimator": candidate.label, "params": candidate.params, "packages": packages(candidate.estimator)}


def _manifest(plan: Plan, ledger: pd.DataFrame, results: Sequence[TaskResult]) -> Manifest:
    resident = sum(row["resident"] for result in results for row in result.ledger)
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
            "candidates": {c.name: _candidate(c) for c in plan.spec.candidates},
        },
        counts={
            **{status: int(statuses.get(status, 0)) for status in ("fitted", "carried", "skipped", "failed")},
            "rows": len(plan.grouping.codes),
            "resident_bytes": int(resident),
        },
        versions=library_versions(_PACKAGES),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
