"""``metamodel history``."""

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps, table_text

__all__ = ["history"]

_SHOWN = 30


@click.command(cls=Command, short_help="Ask what became of a model's groups in all its versions.")
@argument("name")
@option("--group", help='One group, version by version: FR,7 or ["FR", 7].')
@option("--sql", help="A question to the tables versions, lineage, children, events and monitor.")
@click.option("--rebuild", is_flag=True, help="Write all that is registered into the history first.")
@option("--history", "place", help="Folder of the history, or s3://bucket/path (METAMODEL_HISTORY).")
@option("--last", type=WholeNumber(), default=_SHOWN, show_default=True, help="How many rows, the last ones.")
@json_option
def history(
    name: str, group: str | None, sql: str | None, rebuild: bool, place: str | None, last: int, as_json: bool
) -> None:
    """Show what the history says of the registered model NAME."""
    with at_work():
        from metamodel.lifecycle.history import history as ask

        table = ask(name, group=group, sql=sql, rebuild=rebuild, history=place)
    if as_json:
        click.echo(dumps(table))
        return
    shown = table if sql else table.tail(last).dropna(axis=1, how="all")
    click.echo(table_text(shown.assign(sha256=shown["sha256"].str[:12]) if "sha256" in shown and not sql else shown))
