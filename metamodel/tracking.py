"""Log a training as ONE run: parameters, aggregates, ledger, plots, data set, environment, and the one model.

The number of requests does not depend on the number of groups: nothing here is logged, tagged or uploaded for a
single group.
"""

import json
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import mlflow
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_RUN_NOTE

from metamodel import __version__, model_code, registry, report
from metamodel.bundle import Bundle
from metamodel.child_logging import ChildLogging, LogChildren
from metamodel.child_logging.earlier import TRAINING_TAG
from metamodel.evaluation import PRIMARY
from metamodel.evidence import IMPORTANCE_NAME
from metamodel.exceptions import InputError
from metamodel.fitting import Terminated
from metamodel.keys import KeySchema
from metamodel.model import MetaModel
from metamodel.references import ReferenceSettings
from metamodel.requirements import requirements
from metamodel.scratch import plainly_named
from metamodel.showing import description
from metamodel.signatures import InputForm, input_example, signature
from metamodel.training import TrainingResult

__all__ = ["log_model", "log_packed", "plainly_named", "pyfunc_parts", "recorded_defaults", "training_run"]

_WHERE_TO_LOOK = "Under Artifacts, `report.html` shows the worst and best groups, `ledger.json` what became of each."
# MLflow's page shows a table of this size at once; the whole ledger is in ledger.parquet.
_TABLE_ROWS = 10_000
_SHORT = 500
# The actual-against-predicted plot shows about this many points.
_PLOTTED_ROWS = 5000
_ERROR_TAG = "metamodel.error"
_DIGEST_TAG = "metamodel.digest"
# How MLflow's page finds the table.
_TABLE = {"path": "ledger.json", "type": "table"}


@contextmanager
def training_run(
    experiment: str | None = None, run_name: str | None = None, run_id: str | None = None
) -> Iterator[mlflow.ActiveRun]:
    """Open the run to log into, and end it FAILED when anything goes wrong, SIGTERM included.

    Parameters
    ----------
    experiment
        Experiment of a new run. Not used where there is a run already (an active one, or the one that `mlflow run`
        made).
    run_name
        Name of a new run.
    run_id
        Instead of a new run: the one to go on in.

    Yields
    ------
    mlflow.ActiveRun
        The active run where there is one, else the run of ``MLFLOW_RUN_ID``, else that of `run_id`, else a new one.
    """
    active = mlflow.active_run()
    if active is not None:
        yield active
        return
    given = mlflow.environment_variables.MLFLOW_RUN_ID.get()
    if experiment and not given and not run_id:
        mlflow.set_experiment(experiment)
    with _terminable(), mlflow.start_run(None if given else run_id, run_name=run_name) as run:
        try:
            yield run
        except BaseException as error:
            mlflow.set_tag(_ERROR_TAG, _cut(f"{type(error).__name__}: {error}"))
            raise
        if _ERROR_TAG in run.data.tags:  # of an attempt before this one
            mlflow.delete_tag(_ERROR_TAG)


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that a run that is told to stop does not stay RUNNING for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def log_model(  # noqa: PLR0913 - what is logged, and how it will be asked
    result: TrainingResult,
    name: str = "model",
    registered_model_name: str | None = None,
    alias: str | None = None,
    *,
    predict_method: str = "predict",
    detail: bool = False,
    inputs: InputForm = "columns",
    log_children: LogChildren = "bundle",
    settings: ReferenceSettings | None = None,
) -> ModelInfo:
    """Log a training and its meta-model into one run, and register one version of it.

    Parameters
    ----------
    result
        What `metamodel.train` returned.
    name
        Name of the logged model.
    registered_model_name
        Register a version under this name.
    alias
        Point this alias at the new version.
    predict_method, detail
        What a call without params answers; recorded in the signature, so that Spark knows the columns beforehand.
    inputs
        How the signature declares the features, on which the costs of a request to MLflow's server depend: "columns",
        "unchecked" or "packed"; see docs/serving.md.
    log_children
        "bundle": the children are in the meta-model, and no request is sent for a group. "models": each child is an
        MLflow model of its own, to which the meta-model refers. "runs": a nested run for each group beside the bundle.
        See docs/references.md for what these cost.
    settings
        With "models" and "runs": requests a second, concurrency and patience; they are kept for fetching the models.

    Returns
    -------
    mlflow.models.model.ModelInfo
        With `model_uri`, `run_id` and, where it was registered, `registered_model_version`.

    Raises
    ------
    InputError
        `alias` without `registered_model_name`, a name that MLflow does not take, a prediction that this model cannot
        make, or a run that holds another training. Nothing was logged then.
    LoggingFailed
        Some groups could not be logged one by one. Nothing was registered; the same call into the same run goes on.
    """
    if not isinstance(result, TrainingResult):
        raise InputError(f"log_model takes what metamodel.train returned, not a {type(result).__name__}.")
    if alias and not registered_model_name:
        raise InputError("alias needs a registered model. Give registered_model_name too.")
    registry.check_names(registered_model_name, alias, name)
    model = MetaModel(result.bundle_path, defaults={"predict_method": predict_method, "detail": detail})
    model.route.check(model.options())
    # Raises what it has to raise before anything is logged.
    signature(result.manifest, model.route, model.options(), inputs)
    children = ChildLogging(log_children, settings)
    with children.politely(), training_run() as run:
        described = description(result.summary, result.manifest)
        _claim(run.info.run_id, model.bundle.digest, children.identity(result), f"{described} {_WHERE_TO_LOOK}")
        _log_facts(result)
        _log_artifacts(result)
        with children.logged(result, run, name, model) as logged, plainly_named(logged.bundle.path) as bundle:
            info = mlflow.pyfunc.log_model(name=name, **pyfunc_parts(bundle, logged, result.data, inputs))
        # Metrics that are there before the model would be fetched again one by one, to be copied to it.
        metrics = {name: float(value) for name, value in result.summary.items()}
        mlflow.log_metrics(metrics, model_id=info.model_id)
        if registered_model_name:
            info.registered_model_version = registry.register_version(
                registered_model_name, info.model_uri, described, _tags(result), alias
            )
    return info


def log_packed(
    model: MetaModel,
    data: pd.DataFrame,
    registered_model_name: str,
    alias: str | None = None,
    name: str = "model",
    inputs: InputForm = "columns",
) -> ModelInfo:
    """Log an existing bundle, such as one that was given stacks, into a run and register it as a new version.

    Parameters
    ----------
    model
        The bundle to log; what a call without params answers stays as it is.
    data
        Rows with the group columns and the features, for the input example.
    registered_model_name, alias, name, inputs
        As in `log_model`.

    Returns
    -------
    mlflow.models.model.ModelInfo
    """
    registry.check_names(registered_model_name, alias, name)
    manifest = model.manifest
    with training_run() as run, plainly_named(model.bundle.path) as bundle:
        _claim(run.info.run_id, model.bundle.digest)
        info = mlflow.pyfunc.log_model(name=name, **pyfunc_parts(bundle, model, data, inputs))
        described = f"{manifest.counts['fitted']:,} children for {manifest.target.name}, packed again."
        info.registered_model_version = registry.register_version(
            registered_model_name, info.model_uri, described, {"metamodel.version": __version__}, alias
        )
    return info


def pyfunc_parts(bundle: Path, model: MetaModel, data: pd.DataFrame | None, inputs: InputForm) -> dict[str, Any]:
    """Arguments with which MLflow logs, or saves, a finished bundle as a pyfunc model.

    Parameters
    ----------
    bundle
        Path of the bundle.
    model
        The same bundle, opened; what a call without params answers is recorded.
    data
        Rows of which some become the input example; without any, there is none.
    inputs
        Form of the signature.
    """
    manifest = model.manifest
    shown = None if data is None or data.empty else input_example(manifest, data, inputs=inputs)
    return {
        "python_model": model_code.__file__,
        "artifacts": {"bundle": str(bundle)},
        "signature": signature(manifest, model.route, model.options(), inputs),
        "input_example": shown,
        "pip_requirements": requirements(manifest),
        "model_config": {"preload": 0},  # only what stands here can be given when the model is loaded
        "code_paths": [str(Path(model_code.__file__).parent)],
        "metadata": {"metamodel": {"defaults": recorded_defaults(model)}},
    }


def recorded_defaults(model: MetaModel) -> dict[str, Any]:
    """Say what a call without params answers."""
    options = model.options()
    return {"predict_method": options.predict_method, "detail": options.detail}


def _claim(run_id: str, digest: str, training: str = "", note: str = "") -> None:
    """Note in the run, and in MLflow's list of its tables, what is logged there; a run holds ONE training.

    A description that the run has already stays.
    """
    tags = mlflow.get_run(run_id).data.tags
    again = training and tags.get(TRAINING_TAG) == training  # an attempt that was broken off goes on
    if tags.get(_DIGEST_TAG, digest) != digest and not again:
        raise InputError(
            f"Run {run_id} holds another training already, and a run's parameters cannot change. "
            "End it (mlflow.end_run()), and log this one into a run of its own."
        )
    tables = json.loads(tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]"))
    if _TABLE not in tables:
        tables.append(_TABLE)
    claim = {_DIGEST_TAG: digest, **({TRAINING_TAG: training} if training else {})}
    if note:
        claim[MLFLOW_RUN_NOTE] = tags.get(MLFLOW_RUN_NOTE) or note
    mlflow.set_tags({**claim, MLFLOW_LOGGED_ARTIFACTS: json.dumps(tables)})


def _log_facts(result: TrainingResult) -> None:
    options = result.manifest.options
    # `mlflow run` has logged the project's parameters under their plain names before; a parameter cannot be logged
    # twice.
    mlflow.log_params({f"train.{name}": _cut(str(value)) for name, value in options.items() if name != "candidates"})
    mlflow.set_tag("metamodel.checks", ", ".join(sorted({one.check for one in result.findings})) or "nothing found")
    # As one value: MLflow does not take every name ("ridge alpha=1") for a parameter.
    mlflow.log_param("train.candidates", _cut(json.dumps(options["candidates"], default=str)))
    with warnings.catch_warnings():
        # MLflow's advice about integer columns is for signatures; this is a description of the data set.
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column", category=UserWarning)
        # It knows two names for one kind of source: a file.
        warnings.filterwarnings("ignore", message="The specified dataset source can be interp", category=UserWarning)
        target = result.manifest.target.name
        dataset = from_pandas(result.data, source=_source(result.source), targets=target, name=result.source[-500:])
        try:
            mlflow.log_input(dataset, context="training")
        except MlflowException:
            # Of two runs that log one data set at the same time, the slower one is refused; by now it is there.
            mlflow.log_input(dataset, context="training")


def _source(source: str) -> Any:
    return source if Path(source).exists() else None


def _log_artifacts(result: TrainingResult) -> None:
    depth = len(result.manifest.keys.columns)
    children = result.ledger[result.ledger["level"] == depth]
    metric = f"holdout_{PRIMARY[result.manifest.target.task]}"
    plot = report.plot_actual_predicted(_few(result.holdout), result.manifest.target.name, result.manifest.target.task)
    with warnings.catch_warnings():
        # Names in a script that the font does not have are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        mlflow.log_figure(report.plot_metric(children, metric), "plots/holdout_metric.png")
        mlflow.log_figure(plot, "plots/actual_predicted.png")
    mlflow.log_dict(result.manifest.versions, "environment.json")
    mlflow.log_dict({"findings": [one.to_dict() for one in result.findings]}, "checks.json")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.parquet"
        result.ledger.to_parquet(path, index=False)
        mlflow.log_artifact(str(path))
        if len(result.importance):
            mlflow.log_artifact(str(result.bundle_path / IMPORTANCE_NAME))
        mlflow.log_artifact(str(report.write_report(Bundle(result.bundle_path), Path(directory) / "report.html")))
        if len(result.tuning):
            result.tuning.to_parquet(Path(directory) / "tuning.parquet", index=False)
            result.tuning.to_csv(Path(directory) / "tuning.csv", index=False)
            for name in ("tuning.parquet", "tuning.csv"):
                mlflow.log_artifact(str(Path(directory) / name))
    # What mlflow.log_table writes; that would append to the table of an earlier call in the same run.
    table = _shown(result.ledger, result.manifest.keys, metric).to_json(orient="split", index=False, date_format="iso")
    mlflow.log_text(table, _TABLE["path"])


def _few(holdout: pd.DataFrame) -> pd.DataFrame:
    """Thin out the held-out rows evenly, so that every group keeps its share of the plot."""
    return holdout.iloc[:: max(1, len(holdout) // _PLOTTED_ROWS)]


def _shown(ledger: pd.DataFrame, keys: KeySchema, metric: str) -> pd.DataFrame:
    """Cut the ledger for MLflow's page: failures first, then the worst children, then the parents."""
    rank = ledger["status"].map({"failed": 0, "skipped": 1}).fillna(2)
    ranked = pd.DataFrame({"level": -ledger["level"], "rank": rank, "metric": -ledger[metric]})
    shown = ledger.loc[ranked.sort_values(["level", "rank", "metric"]).index].head(_TABLE_ROWS)
    # A parent does not use every group column; an empty cell says so better than "<NA>".
    texts = {name: shown[name].astype(object).where(shown[name].notna(), "").astype(str) for name in keys.names}
    return shown.assign(**texts)


def _tags(result: TrainingResult) -> Mapping[str, str]:
    counts = {name: str(result.summary[f"groups_{name}"]) for name in ("fitted", "skipped", "failed")}
    return {
        **{f"metamodel.groups_{name}": value for name, value in counts.items()},
        "metamodel.version": __version__,
    }


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."
