"""``metamodel score``."""

from typing import Any

import click

from metamodel.cli.click_groups import Command
from metamodel.cli.options import at_work, json_option, option, switch
from metamodel.cli.output import dumps

__all__ = ["score"]


@click.command(cls=Command)
@option("--data", required=True, help="CSV, Parquet file or folder; or a built-in sample.")
@option("--model", required=True, help="MLflow URI (models:/NAME@ALIAS), or a path.")
@option("--output", required=True, help="File to write, .parquet or .csv; on Spark also a table.")
@option("--engine", default="local", show_default=True, help="local or spark.")
@option("--unknown", help="Override the recorded policy: null, error or fallback.")
@option("--predict-method", help="predict or predict_proba.")
@switch("detail", None, "Add key, level, child version and error.")
@json_option
def score(data: str, model: str, output: str, engine: str, as_json: bool, **params: Any) -> None:
    """Add predictions to a table."""
    with at_work():
        from metamodel.scoring import score_file

        given = {name: value for name, value in params.items() if value is not None}
        statuses = score_file(data, model, output, engine=engine, params=given)
    rows = sum(statuses.values())
    if as_json:
        click.echo(dumps({"output": output, "rows": rows, "status": statuses}))
        return
    click.echo(f"{rows:,} rows written to {output}")
    for status, number in sorted(statuses.items(), key=lambda item: -item[1]):
        click.echo(f"  {status:<14} {number:>12,}")
