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
    with at_work():
        _check(challenger, given, moves)
        done = _done(champion, challenger, given, moves)
    if isinstance(done, tuple):
        event, moved = done
        facts = None if event is None else event.to_dict()
        name = champion.removeprefix("models:/").partition("@")[0]
        click.echo(dumps({"moved": moved, "event": facts}) if as_json else told(name, "", event, moved))
    else:
        click.echo(dumps(done.to_dict()) if as_json else _text(done))


def _done(champion: str, challenger: str | None, given: dict[str, Any], moves: dict[str, Any]) -> Any:
    """Do what is asked for: a `RolledOut` of what makes a version, an event and whether it happened of a move."""
    from metamodel.lifecycle.rollouts import moves as of_rollout
    from metamodel.lifecycle.rollouts.rollout import rollout as begin

    if challenger is not None:
        return begin(champion, challenger, **given)
    if moves["raised"] is not None:
        return of_rollout.raise_fraction(champion, moves["raised"])
    if moves["end"]:
        return of_rollout.end_rollout(champion)
    return of_rollout.promote_challenger(champion, require_gate=moves["require_gate"])


def _check(challenger: str | None, given: dict[str, Any], moves: dict[str, Any]) -> None:
    asked = [moves["raised"] is not None, moves["end"], moves["promoted"], challenger is not None]
    if sum(asked) != 1:
        raise InputError("Give a CHALLENGER, or one of --raise, --end and --promote.")
    if given and challenger is None:
        raise InputError(f"--{next(iter(given))} belongs to a new roll-out. Give a CHALLENGER too.")
    if moves["require_gate"] and not moves["promoted"]:
        raise InputError("--require-gate belongs to --promote.")


def _text(made: Any) -> str:
    plan = made.rollout
    share = f" of {plan.fraction:g} of the units" if plan.mode in ("ab", "canary") else ""
    there = f"{made.name} {made.version}" if made.version else made.model_uri
    differing = f"; {made.differing:,} groups and parents differ" if made.differing >= 0 else ""
    line = f"{there}: {plan.mode}{share}, {plan.challenger['uri']} beside {plan.champion['uri']}{differing}."
    return line if made.event is None else f"{line}\n{told(made.name, made.version, made.event, True)}"
