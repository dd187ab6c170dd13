"""``metamodel acknowledge``."""

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import argument, at_work, json_option, option
from metamodel.cli.base.output import dumps
from metamodel.common.messages import listing

__all__ = ["acknowledge"]


@click.command(cls=Command, short_help="Say that somebody looked at an incident, or pin a window as a baseline.")
@argument("output")
@argument("incident", required=False)
@option("--baseline", help="Instead of an incident: pin a window under this name, for monitor --baseline.")
@option("--window", help="Which window; by default the last.")
@option("--by", help="Who; by default the user of this process.")
@option("--note", default="", help="Why.")
@json_option
def acknowledge(
    output: str,
    incident: str | None,
    baseline: str | None,
    window: str | None,
    by: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Acknowledge INCIDENT (its id, or all) of the last window in the folder OUTPUT of metamodel monitor."""
    with at_work():
        from metamodel.monitoring.acknowledge import acknowledge as keep

        kept = keep(output, incident, baseline=baseline, window=window, by=by, note=note)
    what = f"baseline {kept['baseline']}: {kept['window']}" if baseline else listing(kept["incidents"])
    click.echo(dumps(kept) if as_json else f"{what} acknowledged by {kept['by']}.")
