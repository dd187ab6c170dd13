"""``metamodel log``."""

from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Names, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps, section

__all__ = ["log"]


@click.command(cls=Command, short_help="Log a bundle that was trained before, and register it.")
@argument("bundle")
@option("--register", help="Register a version of the model under this name.")
@option("--alias", help="Point this alias at the new version.")
@option("--experiment", help="MLflow experiment of the new run.")
@option("--run-name", help="Name of the run.")
@option("--code-paths", type=Names(), default="", help="Files and folders that the children's code imports.")
@option("--history", help="Write the version into the history in this folder (METAMODEL_HISTORY).")
@json_option
def log(
    bundle: str,
    register: str | None,
    alias: str | None,
    experiment: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Log a training whose bundle was kept because it could not be logged; BUNDLE is its directory."""
    with at_work():
        from metamodel.tracking.log_training import log_model
        from metamodel.tracking.run import training_run
        from metamodel.training.finished import result_of_bundle

        result = result_of_bundle(bundle)
        with training_run(experiment):
            info = log_model(result, registered_model_name=register, alias=alias, **options)
    version = str(info.registered_model_version) if register else None
    facts = {"run_id": info.run_id, "model_uri": info.model_uri, "registered_model": register, "version": version}
    click.echo(dumps(facts) if as_json else section("logged", facts))
