"""``metamodel serve``."""

import functools
import sys

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Number, WholeNumber, argument, at_work, option

__all__ = ["serve"]


@click.command(cls=Command, short_help="Serve a model over HTTP.")
@argument("model")
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@option("--port", type=WholeNumber(), default=5000, show_default=True, help="Port to listen on.")
@option("--workers", type=WholeNumber(), default=1, show_default=True, help="Processes; one for each core.")
@option("--threads", type=WholeNumber(), default=4, show_default=True, help="Threads of each for large requests.")
@option("--max-body-mb", type=Number(), default=64, show_default=True, help="Refuse larger bodies (413).")
@option("--max-rows", "rows", type=WholeNumber(), default=1_000_000, show_default=True, help="Refuse more rows (413).")
@option(
    "--max-waiting", "waiting", type=WholeNumber(), default=64, show_default=True, help="Refuse more at once (503)."
)
@option("--timeout", "seconds", type=Number(), default=60, show_default=True, help="Seconds a request may take (504).")
@option("--drain", type=Number(), default=1, show_default=True, help="Seconds to go on answering after SIGTERM.")
@option("--refresh", type=Number("SECONDS", "number of seconds"), help="Follow the alias: look this often, and swap.")
def serve(
    model: str,
    host: str,
    port: int,
    workers: int,
    drain: float,
    max_body_mb: float,
    refresh: float | None,
    **limits: float,
) -> None:
    """Serve a model over HTTP: MLflow's protocol, and /metrics; ends on SIGTERM when all is answered."""
    with at_work():
        from metamodel.serving import serve as serve_model

        limits["body_bytes"] = int(max_body_mb * 2**20)
        said = functools.partial(click.echo, err=True)
        code = serve_model(model, host, port, workers, limits, drain, refresh, said)
    sys.exit(code)
