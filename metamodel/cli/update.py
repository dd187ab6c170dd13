"""``metamodel update``."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import argument, at_work, json_option, option_of
from metamodel.cli.train import run_training
from metamodel.common.option import declared
from metamodel.common.progress import say
from metamodel.tracking.options import RUN_GROUPS, Logging
from metamodel.training.options import OPTION_GROUPS

__all__ = ["update"]

_OF_TRAINING = {one.name: one for group in OPTION_GROUPS for one in group.options}

# What every update is told anew; the rest stands in the model.
_DEFAULTS = {"retrain": "new,failed,stale", "keep_missing": "52w"}


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command the options of a training; one that is not given is as the model was trained."""
    others = [one for group in RUN_GROUPS for one in group.options if one.name not in _OF_TRAINING]
    own = [
        one if one.name == "data" else replace(one, default=_DEFAULTS.get(one.name))
        for one in _OF_TRAINING.values()
        if one.name != "previous"
    ]
    for one in reversed([*own, *others]):
        command = option_of(one)(command)
    return click.option("--previous", hidden=True, expose_value=False)(command)


@click.command(
    cls=Command,
    groups=RUN_GROUPS,
    short_help="Retrain the groups of a model that need it, carry the others over.",
    epilog="\b\nExample:\n  metamodel update models:/sales@champion --data sales.parquet --max-age 8w --register sales",
)
@argument("model")
@_options
@json_option
def update(model: str, *, as_json: bool, **options: Any) -> None:
    """Train the next version of MODEL: retrain a part, carry the rest over, log ONE run.

    Options that are not given are those that the model was trained with.
    """
    with at_work(options["output_dir"]):
        from metamodel.flavor.load import load_model
        from metamodel.lifecycle.table_difference import table_difference
        from metamodel.lifecycle.update import asked_of

        given = {name: value for name, value in options.items() if name in _OF_TRAINING and value is not None}
        data = given.pop("data")
        if difference := table_difference(model, data):
            say(difference)
        asked = asked_of(load_model(model), given)
    of_logging = {one.name: options[one.name] for one in declared(Logging)}
    run_training({"output_dir": None, **asked, "data": data, "previous": model, **of_logging}, as_json=as_json)
