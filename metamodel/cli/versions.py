"""``metamodel versions``."""

from typing import Any

import click

from metamodel.cli.base.options import WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps, section

__all__ = ["versions"]

_SHOWN = 20


@click.command(short_help="List versions, aliases, promotions and gates; or compare two versions.")
@argument("name")
@click.option("--diff", nargs=2, type=WholeNumber(), default=None, metavar="OLD NEW", help="Compare two versions.")
@option("--last", type=WholeNumber(), default=_SHOWN, show_default=True, help="How many versions, events, groups.")
@json_option
def versions(name: str, diff: tuple[int, int] | None, last: int, as_json: bool) -> None:
    """Show the versions of the registered model NAME."""
    with at_work():
        from metamodel.lifecycle import versions as listed

        if diff:
            facts = _differing(listed.version_difference(name, *diff))
        else:
            facts = _listing(listed.versions(name), last, as_json)
    if as_json:
        click.echo(dumps(facts))
        return
    shown = {title: value.head(last) if hasattr(value, "head") else value for title, value in facts.items()}
    click.echo("\n\n".join(section(title, value) for title, value in shown.items()))


def _listing(found: Any, last: int, as_json: bool) -> dict[str, Any]:
    table, events = found.table.head(last), found.events.head(last)
    if not as_json:
        used = ["note", "approved_by", "group", "group_version"]
        empty = [name for name in used if not events[name].astype(bool).any()]
        events = events.drop(columns=["gate", *empty])
    by_hand = {"set by hand": ", ".join(found.by_hand)} if found.by_hand else {}
    return {"versions": table, "events": events, **by_hand}


def _differing(found: Any) -> dict[str, Any]:
    return {"counts": found.counts, "groups": found.groups, "metrics": found.metrics, "options": found.options}
