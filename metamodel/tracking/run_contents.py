"""What a training's run says beside the model: parameters, data set, plots, tables, report.

Files are written into one directory, and uploaded together; their number does not depend on the number of groups.
"""

import json
import time
import warnings
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from metamodel.bundle.ledger_queries import rows_of_groups
from metamodel.bundle.reader import Bundle
from metamodel.bundle.references import ReferenceSettings
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.uris import redacted, without_credentials
from metamodel.evaluation.metrics import PRIMARY
from metamodel.report import plot_actual_predicted, plot_metric, write_report
from metamodel.tables.arrow import write_parquet
from metamodel.tables.keys import KeySchema
from metamodel.tracking.dataset import training_table
from metamodel.tracking.options import RUN_GROUPS
from metamodel.tracking.run import LEDGER_TABLE, cut
from metamodel.training.options.written import config_text, written_down
from metamodel.training.result import TrainingResult

__all__ = ["CONFIG_NAME", "checks_of", "log_dataset", "log_summary", "params_of", "upload_contents"]

CONFIG_NAME = "config.yaml"

# MLflow's page shows a table of this size at once; the whole ledger is in ledger.parquet.
_TABLE_ROWS = 10_000

# The actual-against-predicted plot shows about this many points.
_PLOTTED_ROWS = 5000


def params_of(result: TrainingResult) -> dict[str, str]:
    """Give the options of a training as parameters of its run.

    `mlflow run` has logged the project's parameters under their plain names before, and a parameter cannot be logged
    twice.
    """
    options = dict(result.manifest.options)
    # As one value: MLflow does not take every name ("ridge alpha=1") for a parameter.
    options["candidates"] = json.dumps(options["candidates"], default=str)
    return {f"train.{name}": cut(redacted(str(value))) for name, value in options.items()}


def checks_of(result: TrainingResult) -> dict[str, str]:
    """Say in a tag what the data checks found."""
    return {"metamodel.checks": ", ".join(sorted({finding.check for finding in result.findings})) or "nothing found"}


def log_summary(run: mlflow.ActiveRun, result: TrainingResult, model_id: str) -> None:
    """Log counts and aggregates as metrics of the run, and of its model."""
    # `mlflow.log_metrics` would note the model as one that the run was given, because it does not know it as one that
    # the run has made.
    now = int(time.time() * 1000)
    metrics = [Metric(name, float(value), now, 0, model_id=model_id) for name, value in result.summary.items()]
    MlflowClient().log_batch(run.info.run_id, metrics=metrics)


def log_dataset(result: TrainingResult) -> None:
    """Log the training table as the run's data set; of a bundle by itself it is not at hand."""
    if result.data.empty:
        return
    dataset = training_table(result.data, result.source, result.manifest.target.name)
    try:
        mlflow.log_input(dataset, context="training")
    except MlflowException:
        # Of two runs that log one data set at the same time, the slower one is refused; by now it is there.
        mlflow.log_input(dataset, context="training")


def upload_contents(
    run: mlflow.ActiveRun,
    result: TrainingResult,
    settings: ReferenceSettings | None = None,
    *,
    report: bool = True,
    **logged: Any,
) -> None:
    """Write the files that people read, and upload them.

    Parameters
    ----------
    run
        Where to.
    result
        What was trained.
    settings
        How the server is spared, if that was said.
    report
        Whether to draw the plots and the report.
    logged
        The other options of `metamodel train` that training does not know.
    """
    with temporary_directory("run") as directory:
        if report:
            _write_pictures(result, directory)
        _write_tables(result, directory)
        if result.config:
            (directory / CONFIG_NAME).write_text(_config(result, settings, logged), encoding="utf-8")
        get_artifact_repository(run.info.artifact_uri).log_artifacts(str(directory))


def _write_pictures(result: TrainingResult, directory: Path) -> None:
    """Write the plots and the report."""
    depth = len(result.manifest.keys.columns)
    children = rows_of_groups(result.ledger, depth)
    (directory / "plots").mkdir()
    with warnings.catch_warnings():
        # Names in a script that the font does not have are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        plot_metric(children, _metric(result)).savefig(directory / "plots/holdout_metric.png")
        if result.manifest.options.get("keep_rows", True):
            target = result.manifest.target
            plot = plot_actual_predicted(_few(result.holdout), target.name, target.task)
            plot.savefig(directory / "plots/actual_predicted.png")
    write_report(Bundle(result.bundle_path), directory / "report.html")


def _metric(result: TrainingResult) -> str:
    return f"holdout_{PRIMARY[result.manifest.target.task]}"


def _write_tables(result: TrainingResult, directory: Path) -> None:
    """Write the ledger, the record of the searches, and findings: what people read without opening the model."""
    findings = {"findings": [finding.to_dict() for finding in result.findings]}
    (directory / "checks.json").write_text(json.dumps(findings, indent=2, default=str), encoding="utf-8")
    write_parquet(result.ledger, directory / "ledger.parquet")
    if len(result.tuning):
        result.tuning.to_parquet(directory / "tuning.parquet", index=False)
        result.tuning.to_csv(directory / "tuning.csv", index=False)
    # What mlflow.log_table writes; that would append to the table of an earlier call in the same run.
    shown = _shown(result.ledger, result.manifest.keys, _metric(result))
    text = shown.to_json(orient="split", index=False, date_format="iso")
    (directory / LEDGER_TABLE["path"]).write_text(text, encoding="utf-8")


def _config(result: TrainingResult, settings: ReferenceSettings | None, logged: dict[str, Any]) -> str:
    """Write down the options of a training and of its logging as `metamodel train --config` takes them.

    Credentials in the address of a table, or of a model, are left out: the run may be open to more people.
    """
    if settings is not None:
        logged["rate"], logged["concurrency"] = settings.requests_per_second, settings.concurrency
        logged["server_patience"] = settings.patience_seconds
    return config_text(without_credentials({**result.config, **written_down(logged)}), RUN_GROUPS)


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
