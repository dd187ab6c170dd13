"""``metamodel rollout``."""

from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Names, Number, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps
from metamodel.cli.promote import told
from metamodel.exceptions import InputError

__all__ = ["rollout"]


@click.command(
    cls=Command,
    short_help="Log a champion and its challenger as one model; raise, end, promote.",
    epilog="\b\nExamples:\n"
    "  metamodel rollout models:/sales@champion models:/sales/8 --mode canary --fraction 0.01 \\\n"
    "      --entity customer_id --register sales --alias champion\n"
    "  metamodel rollout models:/sales@champion --raise 0.1",
)
@argument("champion")
@argument("challenger", required=False)
@option("--mode", help="shadow (default), ab, canary or interleave.")
@option("--fraction", type=Number("SHARE", "share"), help="Share of the units that the challenger has (0.1).")
@option("--entity", type=Names(), help="Columns that name a unit: customer_id, or customer_id:string.")
@option("--unit", help="entity (default), or group: whole groups have their model.")
@option("--salt", help="Deals the units; default: made of the challenger.")
@option("--patience", type=Number(), help="Seconds that a server waits for the challenger (2).")
@option("--register", help="Register a version of the roll-out under this name.")
@option("--alias", help="Point this alias at the new version.")
@option("--raise", "raised", type=Number("SHARE", "share"), help="Give the challenger of CHAMPION this share.")
@click.option("--end", is_flag=True, help="Point the alias of CHAMPION back at the champion.")
@click.option("--promote", "promoted", is_flag=True, help="Point the alias of CHAMPION at the challenger.")
@click.option("--require-gate", is_flag=True, help="With --promote: refuse a challenger without its gate (code 3).")
@json_option
def rollout(champion: str, challenger: str | None, as_json: bool, **options: Any) -> None:
    """Roll CHALLENGER out beside CHAMPION, as one model; or change the roll-out that the alias CHAMPION points at."""
    moves = {name: options.pop(name) for name in ("raised", "end", "promoted", "require_gate")}
    given = {name: value for name, value in options.items() if value not in (None, [], "")}
    _check(challenger, given, moves)
    with at_work():
        if challenger is not None:
            from metamodel.lifecycle.rollouts.rollout import rollout as begin

            _tell(begin(champion, challenger, **given), as_json)
        elif moves["raised"] is not None:
            from metamodel.lifecycle.rollouts.moves import raise_fraction

            _tell(raise_fraction(champion, moves["raised"]), as_json)
        else:
            _move(champion, moves, as_json)


def _check(challenger: str | None, given: dict[str, Any], moves: dict[str, Any]) -> None:
    with at_work():
        asked = [moves["raised"] is not None, moves["end"], moves["promoted"], challenger is not None]
        if sum(asked) != 1:
            raise InputError("Give a CHALLENGER, or one of --raise, --end and --promote.")
        if given and challenger is None:
            raise InputError(f"--{next(iter(given))} belongs to a new roll-out. Give a CHALLENGER too.")
        if moves["require_gate"] and not moves["promoted"]:
            raise InputError("--require-gate belongs to --promote.")


def _tell(made: Any, as_json: bool) -> None:
    if as_json:
        click.echo(dumps(made.to_dict()))
        return
    plan = made.rollout
    share = f" of {plan.fraction:g} of the units" if plan.mode in ("ab", "canary") else ""
    there = f"{made.name} {made.version}" if made.version else made.model_uri
    differing = f"; {made.differing:,} groups and parents differ" if made.differing >= 0 else ""
    click.echo(f"{there}: {plan.mode}{share}, {plan.challenger['uri']} beside {plan.champion['uri']}{differing}.")
    if made.event is not None:
        click.echo(told(made.name, made.version, made.event, True))


def _move(champion: str, moves: dict[str, Any], as_json: bool) -> None:
    from metamodel.lifecycle.rollouts.moves import end_rollout, promote_challenger

    if moves["end"]:
        event, moved = end_rollout(champion)
    else:
        event, moved = promote_challenger(champion, require_gate=moves["require_gate"])
    facts = None if event is None else event.to_dict()
    name = champion.removeprefix("models:/").partition("@")[0]
    click.echo(dumps({"moved": moved, "event": facts}) if as_json else told(name, "", event, moved))
