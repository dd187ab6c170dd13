"""``metamodel rollback``."""

from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps
from metamodel.cli.promote import told

__all__ = ["rollback"]


@click.command(cls=Command, short_help="Point an alias back at an earlier version.")
@argument("name")
@option("--version", type=WholeNumber(), help="Which one; default: what the present version replaced.")
@option("--group", help='Roll this group alone back to its child of --version: FR,7 or ["FR", 7].')
@option("--alias", default="champion", show_default=True, help="The alias to move.")
@option("--expect", type=WholeNumber(), help="Refuse where the alias points at another version than this one.")
@option("--history", help="Keep the event in the history in this folder, too (METAMODEL_HISTORY).")
@json_option
def rollback(name: str, version: int | None, alias: str, as_json: bool, **options: Any) -> None:
    """Point an alias of the registered model NAME back at an earlier version, or at a new one for a group's sake."""
    with at_work():
        from metamodel.lifecycle.rollback import rollback as move

        event, moved = move(name, version, alias, **options)
    facts = None if event is None else event.to_dict()
    click.echo(dumps({"moved": moved, "event": facts}) if as_json else told(name, str(version), event, moved))
