"""``metamodel score`` and ``metamodel serve``."""

import sys

import click

from metamodel.cli.options import WholeNumber, at_work, json_option
from metamodel.cli.output import dumps

__all__ = ["score", "serve"]


@click.command()
@click.option("--data", required=True, help="CSV, Parquet file or folder; or a built-in sample.")
@click.option("--model", required=True, help="MLflow URI (models:/NAME@ALIAS), or a path.")
@click.option("--output", required=True, help="File to write, .parquet or .csv; on Spark also a table.")
@click.option("--engine", default="local", show_default=True, help="local or spark.")
@click.option("--unknown", default="", help="Override the recorded policy: null, error or fallback.")
@click.option("--predict-method", default="", help="predict or predict_proba.")
@click.option("--detail/--no-detail", default=None, help="Add key, level, child version and error.")
@json_option
def score(
    data: str,
    model: str,
    output: str,
    engine: str,
    unknown: str,
    predict_method: str,
    detail: bool | None,
    as_json: bool,
) -> None:
    """Add predictions to a table."""
    with at_work():
        from metamodel.scoring import score_file

        given = {"unknown": unknown, "predict_method": predict_method, "detail": detail}
        params = {name: value for name, value in given.items() if value not in ("", None)}
        statuses = score_file(data, model, output, engine=engine, params=params)
    rows = sum(statuses.values())
    if as_json:
        click.echo(dumps({"output": output, "rows": rows, "status": statuses}))
        return
    click.echo(f"{rows:,} rows written to {output}")
    for status, number in sorted(statuses.items(), key=lambda item: -item[1]):
        click.echo(f"  {status:<14} {number:>12,}")


@click.command(short_help="Serve a model over HTTP.")
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=WholeNumber(), default=5000, show_default=True, help="Port to listen on.")
@click.option("--workers", type=WholeNumber(), default=1, show_default=True, help="Processes; one for each core.")
@click.option("--threads", type=WholeNumber(), default=4, show_default=True, help="Threads of each for large requests.")
@click.option("--max-body-mb", type=float, default=64, show_default=True, help="Refuse larger bodies (413).")
@click.option(
    "--max-rows", "rows", type=WholeNumber(), default=1_000_000, show_default=True, help="Refuse more rows (413)."
)
@click.option(
    "--max-waiting", "waiting", type=WholeNumber(), default=64, show_default=True, help="Refuse more at once (503)."
)
@click.option(
    "--timeout", "seconds", type=float, default=60, show_default=True, help="Seconds a request may take (504)."
)
@click.option("--drain", type=float, default=1, show_default=True, help="Seconds to go on answering after SIGTERM.")
def serve(model: str, host: str, port: int, workers: int, drain: float, max_body_mb: float, **limits: float) -> None:
    """Serve a model over HTTP: MLflow's protocol, and /metrics; ends on SIGTERM when all is answered."""
    with at_work():
        from metamodel.serving import serve as serve_model

        limits["body_bytes"] = int(max_body_mb * 2**20)
        code = serve_model(model, host, port, workers, limits, drain, lambda text: click.echo(text, err=True))
    sys.exit(code)
