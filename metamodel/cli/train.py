"""``metamodel train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metamodel.cli.click_groups import Sections
from metamodel.cli.options import (
    SECONDS,
    SHARE,
    Json,
    Names,
    WholeNumber,
    at_work,
    inputs_option,
    json_option,
    logging_options,
)
from metamodel.cli.output import dumps, table_text
from metamodel.cli.switches import switch
from metamodel.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models.model import ModelInfo

    from metamodel.training.result import TrainingResult

__all__ = ["train"]

# Options that are for `metamodel.log_model`; what is neither its nor the run's is for `metamodel.train`.
_OF_LOGGING = ("predict_method", "detail", "inputs", "log_children")

_SECTIONS = {
    "Table and model": ("data", "group_by", "target", "features", "estimator", "estimator_params", "overrides"),
    "Groups": ("unknown", "null_keys", "min_rows", "max_group_rows", "prune"),
    "Judging": ("time_column", "holdout", "split", "metric", "season", "duplicates", "sample_weight"),
    "Data checks and earlier versions": ("schema", "strict", "previous", "warm_start"),
    "Search for parameters": ("tune", "trials", "patience", "tune_seconds", "budget_seconds"),
    "Answers": ("shrinkage", "shrinkage_params", "interval", "predict_method", "detail", "inputs"),
    "Work": ("engine", "n_jobs", "group_seconds", "random_state", "codec", "stack", "output_dir"),
    "MLflow": ("register", "alias", "experiment", "log_children", "rate", "concurrency", "server_patience"),
}


@click.command(
    cls=Sections,
    sections=_SECTIONS,
    short_help="Train one child for every group, log and register.",
    epilog="\b\nExample:\n  metamodel train --data stores.csv --group-by country,store --target sales",
)
@click.option(
    "--data", required=True, help="CSV, Parquet file or folder; a built-in sample (sales, california); a Spark table."
)
@click.option("--group-by", required=True, type=Names(), help="Group columns, separated by commas.")
@click.option("--target", required=True, help="Column to predict.")
@click.option(
    "--estimator", default="ridge", show_default=True, help="Name or dotted path; several behind commas are candidates."
)
@click.option("--estimator-params", type=Json(dict), default=None, help='JSON object, such as {"alpha": 2.0}.')
@click.option(
    "--features", type=Names(), default="", help="Feature columns; default: every column without another role."
)
@click.option(
    "--holdout", type=float, default=0.2, show_default=True, help="Share of each group's rows to judge it on."
)
@click.option("--time-column", default="", help="Hold back the latest rows by this column.")
@click.option("--min-rows", type=WholeNumber(), default=2, show_default=True, help="Skip groups with fewer rows.")
@click.option("--unknown", default="null", show_default=True, help="Groups without a child: null, error or fallback.")
@click.option("--null-keys", default="error", show_default=True, help="Null group columns: error, group or drop.")
@click.option("--codec", default="cloudpickle", show_default=True, help="cloudpickle, joblib or skops.")
@click.option("--engine", default="local", show_default=True, help="local or spark.")
@click.option("--n-jobs", type=WholeNumber(), default=-1, show_default=True, help="Processes; -1: one a core.")
@click.option("--output-dir", default="", help="Keep the bundle here; the same command resumes after a crash.")
@click.option("--random-state", type=WholeNumber(), default=0, show_default=True, help="Seed.")
@click.option("--max-group-rows", type=WholeNumber(optional=True), default="", help="Skip groups with more rows.")
@click.option(
    "--split", default="holdout", show_default=True, help="holdout, kfold:5, or rolling:folds=3,horizon=4,step=4."
)
@click.option("--metric", default="", help="What candidates are compared by; default: rmse or log_loss.")
@click.option("--season", type=WholeNumber(), default=0, help="Length of a season in time steps, for the baseline.")
@click.option("--duplicates", default="auto", show_default=True, help="Exact copies of a row: auto, drop or keep.")
@click.option("--sample-weight", default="", help="Column of row weights; never a feature.")
@click.option("--schema", type=Json(dict), default=None, help='Expected kinds, such as {"price": "number"}.')
@click.option("--previous", default="", help="Model before this one, whose columns are expected: MLflow URI or path.")
@switch("warm_start", False, "Go on from --previous' children.")
@switch("strict", False, "Refuse a table with findings.")
@click.option("--overrides", default="", help="File of exceptions: group columns, estimator, min_rows, skip ...")
@click.option("--group-seconds", type=float, default=0, help="Time limit for the fits of one group; 0: none.")
@click.option("--register", default="", help="Register a version of the model under this name.")
@click.option("--alias", default="", help="Point this alias at the new version.")
@click.option("--experiment", default="", help="MLflow experiment of a new run.")
@switch("stack", True, "Also store linear models and tree ensembles as arrays; --no-stack: not.")
@switch("prune", False, "Store no child that is not better than its parent.")
@click.option("--tune", default="", help="Search parameters: auto, or a YAML or JSON file with the search space.")
@click.option("--trials", type=WholeNumber(), default=30, show_default=True, help="Trials a group, at most.")
@click.option("--patience", type=WholeNumber(), default=10, show_default=True, help="End after trials without gain.")
@click.option("--tune-seconds", type=SECONDS, default=None, help="Limit of the search in one group.")
@click.option("--budget-seconds", type=SECONDS, default=None, help="Limit of the whole training, searches included.")
@click.option("--shrinkage", default="", help="Blend with parents: constant, equal, min_n_obs or relative.")
@click.option("--shrinkage-params", type=Json(dict), default=None, help='JSON object, such as {"alpha": 0.3}.')
@click.option("--interval", type=SHARE, default=None, help="Intervals that cover this share of rows, such as 0.9.")
@click.option("--predict-method", default="predict", show_default=True, help="predict or predict_proba.")
@switch("detail", False, "Answer key, level, child version and error by default.")
@logging_options
@inputs_option
@json_option
def train(
    *,
    register: str,
    alias: str,
    experiment: str,
    rate: float,
    concurrency: int,
    server_patience: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Train one child for every group, log ONE run, register ONE model."""
    shown = [*options["group_by"], options["target"]]
    with at_work():
        from metamodel.bundle.references import ReferenceSettings

        _check_destination(register, alias)
        logged = {
            **{name: options.pop(name) for name in _OF_LOGGING},
            "registered_model_name": register or None,
            "alias": alias or None,
            "settings": ReferenceSettings(
                requests_per_second=rate, concurrency=concurrency, patience_seconds=server_patience
            ),
        }
        result, info = _train_and_log(experiment, options, logged)
        facts = {
            "run_id": info.run_id,
            "model_uri": info.model_uri,
            "registered_model": register or None,
            "version": str(info.registered_model_version) if register else None,
            "alias": alias or None,
            "summary": result.summary,
        }
        page = _report_beside(result.bundle_path) if options["output_dir"] else "report.html, in the run"
        preview = _preview(result, shown)
    click.echo(dumps(facts) if as_json else _text(result, facts, page, preview))


def _train_and_log(
    experiment: str, options: dict[str, Any], logged: dict[str, Any]
) -> "tuple[TrainingResult, ModelInfo]":
    """Train and log within one run; where each child is logged too, the run that a killed attempt began."""
    import metamodel
    from metamodel.tracking.children import ChildLogging
    from metamodel.tracking.resume import resumable_run

    children = ChildLogging(logged["log_children"], logged["settings"])
    resumed = options["output_dir"] if logged["log_children"] != "bundle" else None
    with children.throttled(), resumable_run(experiment or None, resumed):
        previous = metamodel.load_model(options["previous"]) if options["previous"] else None
        result = metamodel.train(**options | {"previous": previous, "features": options["features"] or None})
        return result, metamodel.log_model(result, **logged)


def _text(result: "TrainingResult", facts: dict[str, Any], page: str, preview: "pd.DataFrame") -> str:
    """Put into words what was made, and what the new model answers to some rows."""
    lines = [
        f"{result}\n",
        f"run               {facts['run_id']}",
        f"model             {facts['model_uri']}",
        f"report            {page}",
    ]
    if facts["version"]:
        alias = f", alias {facts['alias']}" if facts["alias"] else ""
        lines.append(f"registered        {facts['registered_model']}, version {facts['version']}{alias}")
    return "\n".join([*lines, f"\nA few predictions:\n{table_text(preview)}"])


def _check_destination(register: str, alias: str) -> None:
    """Refuse before the work what could not be logged after it."""
    from metamodel.tracking.registry import check_names
    from metamodel.tracking.server_check import check_tracking_server

    if alias and not register:
        raise InputError("--alias needs a registered model. Give --register NAME too.")
    check_names(register, alias)
    check_tracking_server()


def _report_beside(bundle_path: Path) -> str:
    from metamodel.bundle.reader import Bundle
    from metamodel.report import write_report

    return str(write_report(Bundle(bundle_path), bundle_path.with_name(f"{bundle_path.name}-report.html")))


def _preview(result: "TrainingResult", columns: list[str], rows: int = 6) -> "pd.DataFrame":
    """Let the new model answer a few rows from all over the table; it is registered by now, so nothing may raise."""
    import pandas as pd

    from metamodel.bundle.model import MetaModel

    some = result.data.iloc[:: max(1, len(result.data) // rows)].head(rows).reset_index(drop=True)
    policy = {} if result.manifest.unknown == "fallback" else {"unknown": "null"}
    answers = MetaModel(result.bundle_path).predict(some, policy)
    return pd.concat([some[columns], answers[["prediction", "status"]]], axis=1)
