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
    click.echo("\n\n".join(_shown(title, value, last) for title, value in facts.items()))


def _shown(title: str, value: Any, last: int) -> str:
    """Show what a title stands over; of a long table the first rows, and how many there are more."""
    text = section(title, value.head(last) if hasattr(value, "head") else value)
    hidden = len(value) - last if hasattr(value, "head") else 0
    return text + (f"\n... and {hidden:,} more; --last {len(value)} shows all" if hidden > 0 else "")


def _listing(found: Any, last: int, as_json: bool) -> dict[str, Any]:
    table, events = found.table, found.events
    if as_json:
        table, events = table.head(last), events.head(last)
    else:
        used = ["note", "approved_by", "group", "group_version"]
        empty = [name for name in used if not events[name].head(last).astype(bool).any()]
        events = events.drop(columns=["gate", *empty])
    otherwise = {"set by other means than metamodel promote": ", ".join(found.by_hand)} if found.by_hand else {}
    return {"versions": table, "events": events, **otherwise}


def _differing(found: Any) -> dict[str, Any]:
    return {"counts": found.counts, "groups": found.groups, "metrics": found.metrics, "options": found.options}
