"""``metamodel serve``."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from metamodel.cli.base.answer_options import explore_options, log_options, pop_log
from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Names, Number, WholeNumber, argument, at_work, option
from metamodel.common.error_stream import forgive_stderr
from metamodel.exceptions import InputError

if TYPE_CHECKING:
    from metamodel.serving.served_challenger import Challenge, ControlGroup

__all__ = ["serve"]


_MEGABYTES = {
    "max_body_mb": "body_bytes",
    "max_opened_mb": "opened_bytes",
    "max_held_mb": "held_bytes",
    "max_held_total_mb": "all_held_bytes",
}


def _megabytes(flag: str, default: int, variable: str, text: str) -> Callable[[Any], Any]:
    """Make an option of a limit in megabytes, which a variable sets too."""
    return option(flag, type=Number(), default=default, envvar=variable, show_default=True, help=text)


@click.command(cls=Command, short_help="Serve a model over HTTP.")
@argument("model")
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option("--port", type=WholeNumber(), default=5000, show_default=True, help="Port to listen on.")
@option("--workers", type=WholeNumber(), default=1, show_default=True, help="Processes; one for each core.")
@option("--threads", type=WholeNumber(), default=4, show_default=True, help="Threads of each for large requests.")
@option("--max-body-mb", type=Number(), default=64, show_default=True, help="Refuse larger bodies (413).")
@option("--max-rows", "rows", type=WholeNumber(), default=1_000_000, show_default=True, help="Refuse more rows (413).")
@_megabytes("--max-opened-mb", 1024, "METAMODEL_MAX_OPENED_MB", "Refuse what opens to more (413).")
@_megabytes("--max-held-mb", 256, "METAMODEL_MAX_HELD_MB", "Bodies that a worker holds at once; then 503.")
@_megabytes("--max-held-total-mb", 1024, "METAMODEL_MAX_HELD_TOTAL_MB", "... and all workers together.")
@option(
    "--max-waiting", "waiting", type=WholeNumber(), default=64, show_default=True, help="Refuse more at once (503)."
)
@option("--timeout", "seconds", type=Number(), default=60, show_default=True, help="Seconds a request may take (504).")
@option("--drain", type=Number(), default=1, show_default=True, help="Seconds to go on answering after SIGTERM.")
@option("--challenger", help="Serve this model beside MODEL; with --mode, --entity ... as of `metamodel rollout`.")
@option("--mode", help="With --challenger: shadow (default), ab, canary or interleave.")
@option("--fraction", type=Number("SHARE", "share"), help="With --challenger: its share of the units (0.1).")
@option("--entity", type=Names(), help="With --challenger: columns that name a unit.")
@option("--unit", help="With --challenger: entity (default) or group.")
@option("--salt", help="With --challenger: deals the units; default: made of the challenger.")
@option("--patience", type=Number(), help="With --challenger: seconds that an answer waits for it (2).")
@explore_options
@option("--refresh", type=Number("SECONDS", "number of seconds"), help="Follow aliases: look this often, and swap.")
@log_options
def serve(
    model: str,
    host: str,
    port: int,
    workers: int,
    drain: float,
    refresh: float | None,
    challenger: str | None,
    **options: Any,
) -> None:
    """Serve a model over HTTP: MLflow's protocol, and /metrics; ends on SIGTERM when all is answered."""
    forgive_stderr(wait=False)  # an event loop waits for nobody
    with at_work():
        from metamodel.serving import serve as serve_model

        choices = {name: options.pop(name) for name in ("mode", "fraction", "entity", "unit", "salt", "patience")}
        given = {name: value for name, value in choices.items() if value not in (None, [], "")}
        log = pop_log(options)
        explored = options.pop("explore"), options.pop("explore_entity") or ()
        options |= {field: int(options.pop(name) * 2**20) for name, field in _MEGABYTES.items()}
        said = functools.partial(click.echo, err=True)
        code = serve_model(
            model, host, port, workers, options, drain, refresh, said,
            challenge=_challenge(challenger, given, explored), log=log,
        )  # fmt: skip
    sys.exit(code)


def _challenge(
    challenger: str | None, given: dict[str, Any], explored: tuple[float | None, Sequence[str]]
) -> "Challenge | ControlGroup | None":
    share, entity = explored
    if share is not None:
        from metamodel.serving.served_challenger import ControlGroup

        if challenger and share:
            raise InputError("--explore and --challenger both deal the entities. Give one of them.")
        if not challenger:
            return ControlGroup(share, entity)
    elif entity:
        raise InputError("--explore-entity says whom --explore takes. Give --explore too.")
    if not challenger:
        if given:
            raise InputError(f"--{next(iter(given))} says how a challenger is served. Give --challenger too.")
        return None
    from metamodel.serving.served_challenger import Challenge

    return Challenge(challenger, given.pop("entity", None), given)
