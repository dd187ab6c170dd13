"""What a training's run says beside the model: parameters, data set, plots, tables, report.

The number of requests does not depend on the number of groups.
"""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from metamodel import report
from metamodel.bundle.diagnostics import IMPORTANCE_NAME
from metamodel.bundle.reader import Bundle
from metamodel.bundle.references import ReferenceSettings
from metamodel.common.uris import redacted
from metamodel.evaluation.metrics import PRIMARY
from metamodel.tables.keys import KeySchema
from metamodel.tracking.dataset import training_table
from metamodel.tracking.options import RUN_GROUPS
from metamodel.tracking.run import LEDGER_TABLE, cut
from metamodel.training.options.written import config_text, written_down
from metamodel.training.result import TrainingResult

__all__ = ["CONFIG_NAME", "log_config", "log_facts", "log_pictures", "log_tables"]

CONFIG_NAME = "config.yaml"

# MLflow's page shows a table of this size at once; the whole ledger is in ledger.parquet.
_TABLE_ROWS = 10_000

# The actual-against-predicted plot shows about this many points.
_PLOTTED_ROWS = 5000


def log_facts(result: TrainingResult) -> None:
    """Log the options as parameters, what the data checks found as a tag, and the table as the run's data set."""
    options = result.manifest.options
    # `mlflow run` has logged the project's parameters under their plain names before; a parameter cannot be logged
    # twice.
    params = {f"train.{name}": str(value) for name, value in options.items() if name != "candidates"}
    mlflow.log_params({name: cut(redacted(value)) for name, value in params.items()})
    mlflow.set_tag(
        "metamodel.checks", ", ".join(sorted({finding.check for finding in result.findings})) or "nothing found"
    )
    # As one value: MLflow does not take every name ("ridge alpha=1") for a parameter.
    mlflow.log_param("train.candidates", cut(redacted(json.dumps(options["candidates"], default=str))))
    dataset = training_table(result.data, result.source, result.manifest.target.name)
    try:
        mlflow.log_input(dataset, context="training")
    except MlflowException:
        # Of two runs that log one data set at the same time, the slower one is refused; by now it is there.
        mlflow.log_input(dataset, context="training")


def log_pictures(result: TrainingResult) -> None:
    """Log the plots and the report."""
    depth = len(result.manifest.keys.columns)
    children = result.ledger[result.ledger["level"] == depth]
    plot = report.plot_actual_predicted(_few(result.holdout), result.manifest.target.name, result.manifest.target.task)
    with warnings.catch_warnings():
        # Names in a script that the font does not have are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        mlflow.log_figure(report.plot_metric(children, _metric(result)), "plots/holdout_metric.png")
        mlflow.log_figure(plot, "plots/actual_predicted.png")
    with tempfile.TemporaryDirectory() as directory:
        mlflow.log_artifact(str(report.write_report(Bundle(result.bundle_path), Path(directory) / "report.html")))


def _metric(result: TrainingResult) -> str:
    return f"holdout_{PRIMARY[result.manifest.target.task]}"


def log_tables(result: TrainingResult) -> None:
    """Log ledger, importances, the record of the searches, findings and versions as files."""
    mlflow.log_dict(result.manifest.versions, "environment.json")
    mlflow.log_dict({"findings": [finding.to_dict() for finding in result.findings]}, "checks.json")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.parquet"
        result.ledger.to_parquet(path, index=False)
        mlflow.log_artifact(str(path))
        if len(result.importance):
            mlflow.log_artifact(str(result.bundle_path / IMPORTANCE_NAME))
        if len(result.tuning):
            result.tuning.to_parquet(Path(directory) / "tuning.parquet", index=False)
            result.tuning.to_csv(Path(directory) / "tuning.csv", index=False)
            for name in ("tuning.parquet", "tuning.csv"):
                mlflow.log_artifact(str(Path(directory) / name))
    # What mlflow.log_table writes; that would append to the table of an earlier call in the same run.
    shown = _shown(result.ledger, result.manifest.keys, _metric(result))
    mlflow.log_text(shown.to_json(orient="split", index=False, date_format="iso"), LEDGER_TABLE["path"])


def log_config(result: TrainingResult, settings: ReferenceSettings | None, **logged: Any) -> None:
    """Log the options of a training and of its logging as a file that `metamodel train --config` takes.

    Credentials in the address of a table, or of a model, are left out: the run may be open to more people.

    Parameters
    ----------
    result
        With the options of the training.
    settings
        How the server is spared, if that was said.
    logged
        The other options of `metamodel train` that training does not know.
    """
    if settings is not None:
        logged["rate"], logged["concurrency"] = settings.requests_per_second, settings.concurrency
        logged["server_patience"] = settings.patience_seconds
    options = _without_credentials({**result.config, **written_down(logged)})
    mlflow.log_text(config_text(options, RUN_GROUPS), CONFIG_NAME)


def _without_credentials(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _without_credentials(one) for name, one in value.items()}
    return [_without_credentials(one) for one in value] if isinstance(value, list) else value


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
