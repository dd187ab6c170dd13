"""``metamodel promote``."""

from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps

__all__ = ["promote", "told"]


@click.command(cls=Command, short_help="Point an alias at a version, and keep who, when and why.")
@argument("name")
@click.argument("version", type=WholeNumber())
@option("--alias", default="champion", show_default=True, help="The alias to move.")
@option("--expect", type=WholeNumber(), help="Refuse where the alias points at another version than this one.")
@click.option("--require-gate", is_flag=True, help="Refuse a version that has not passed its gate (code 3).")
@click.option("--require-approval", is_flag=True, help="Refuse a version that nobody has approved.")
@option("--approved-by", help="Approve the version in this name; its tag metamodel.approved says so.")
@option("--note", help="Why.")
@click.option("--auto", is_flag=True, help="Nobody looks: promote only where the gate was passed (else code 3).")
@option("--history", help="Keep the event in the history in this folder, too (METAMODEL_HISTORY).")
@json_option
def promote(name: str, version: int, as_json: bool, **options: Any) -> None:
    """Point an alias of the registered model NAME at VERSION. Interrupted, the same call finishes it."""
    with at_work():
        from metamodel.lifecycle.promote import promote as move

        event, moved = move(name, version, **options)
    facts = None if event is None else event.to_dict()
    click.echo(dumps({"moved": moved, "event": facts}) if as_json else told(name, str(version), event, moved))


def told(name: str, version: str, event: Any, moved: bool) -> str:
    """Say in a line what was moved."""
    if event is None:
        return f"{name} {version} has the alias already; nothing was moved."
    replaced = f", which replaces version {event.replaced}" if event.replaced else ""
    if not moved:
        return f"{name} {event.version} is {event.alias} already, since {event.when} by {event.by}; nothing was moved."
    return f"{name} {event.version} is {event.alias} now{replaced}."
