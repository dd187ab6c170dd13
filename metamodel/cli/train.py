"""``metamodel train``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import at_work, json_option, options_of
from metamodel.cli.base.output import dumps, table_text
from metamodel.common.option import declared, named
from metamodel.tracking.options import RUN_GROUPS, Logging

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models.model import ModelInfo

    from metamodel.training.result import TrainingResult

__all__ = ["run_training", "train"]


@click.command(
    cls=Command,
    groups=RUN_GROUPS,
    short_help="Train one child for every group, log and register.",
    epilog="\b\nExample:\n  metamodel train --data stores.csv --group-by country,store --target sales",
)
@options_of(*RUN_GROUPS)
@json_option
def train(*, as_json: bool, **options: Any) -> None:
    """Train one child for every group, log ONE run, register ONE model."""
    run_training(options, as_json=as_json)


def run_training(options: dict[str, Any], *, as_json: bool) -> None:
    """Train, log, and print what came of it.

    Parameters
    ----------
    options
        Those of `metamodel.train` and of `Logging`, by their names.
    as_json
        Whether to print one JSON object.
    """
    shown = [*options["group_by"], options["target"]]
    with at_work(options["output_dir"]):
        logging = Logging(**named(Logging, options))
        _check_destination(logging.register, logging.alias, logging.history)
        of_logging = {declaration.name for declaration in declared(Logging)}
        trained = {name: value for name, value in options.items() if name not in of_logging}
        result, info = _train_and_log(trained, logging)
        facts = {
            "run_id": info.run_id,
            "model_uri": info.model_uri,
            "registered_model": logging.register,
            "version": str(info.registered_model_version) if logging.register else None,
            "alias": logging.alias,
            "summary": result.summary,
        }
        page = _report_beside(result.bundle_path) if options["output_dir"] else "report.html, in the run"
        preview = _preview(result, shown)
    click.echo(dumps(facts) if as_json else _text(result, facts, page, preview))


def _train_and_log(options: dict[str, Any], logging: Logging) -> "tuple[TrainingResult, ModelInfo]":
    """Train and log within one run; where each child is logged too, the run that a killed attempt began.

    What is wrong with the table or an option is told before there is a run.
    """
    import metamodel
    from metamodel.bundle.references import ReferenceSettings
    from metamodel.tracking.children import ChildLogging
    from metamodel.tracking.run import resumable_run
    from metamodel.training.options.written import written_down
    from metamodel.training.train import prepare

    settings = ReferenceSettings(
        requests_per_second=logging.rate,
        concurrency=logging.concurrency,
        patience_seconds=logging.server_patience,
    )
    children = ChildLogging(logging.log_children, settings)
    resumed = options["output_dir"] if logging.log_children != "bundle" else None
    previous = metamodel.load_model(options["previous"]) if options["previous"] else None
    prepared = prepare(**options | {"previous": previous})
    _check_logging(logging, prepared.plan.spec.task)
    with children.throttled(), resumable_run(logging.experiment, resumed):
        result = prepared.run()
        # A search space is written out, a model before this one by its name.
        asked = {**options, "tune": result.config.get("tune"), "experiment": logging.experiment}
        info = metamodel.log_model(
            replace(result, config=written_down(asked)),
            registered_model_name=logging.register,
            alias=logging.alias,
            predict_method=logging.predict_method,
            detail=logging.detail,
            log_children=logging.log_children,
            settings=settings,
            code_paths=logging.code_paths,
            pip_requirements=logging.pip_requirements,
            extra_pip_requirements=logging.extra_pip_requirements,
            run_name=logging.run_name,
            tags=logging.tags,
            history=logging.history,
        )
        return result, info


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


def _check_destination(register: str | None, alias: str | None, history: str | None) -> None:
    """Refuse before the work what could not be logged after it."""
    from metamodel.flavor.remote import check_tracking_server
    from metamodel.tracking.record_generation import writable_history
    from metamodel.tracking.registry import check_names

    check_names(register, alias)
    writable_history(history, register)
    check_tracking_server()


def _check_logging(logging: Logging, task: str) -> None:
    """Refuse what `log_model` would refuse after the training."""
    from metamodel.flavor.environment import Environment
    from metamodel.prediction.routing import check_probabilities
    from metamodel.tracking.run import check_tags

    Environment.of(logging.code_paths, logging.pip_requirements, logging.extra_pip_requirements)
    check_tags(logging.tags or {})
    if logging.predict_method == "predict_proba":
        check_probabilities(task)


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
