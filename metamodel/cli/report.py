"""``metamodel report``."""

from pathlib import Path

import click

from metamodel.cli.base.options import WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps

__all__ = ["report"]


@click.command(short_help="Write the HTML report of a model.")
@argument("model")
@option("--output", default="report.html", show_default=True, help="File to write.")
@option("--data", help="A table, to measure on it what counts for the worst groups.")
@option("--worst", type=WholeNumber(), default=6, show_default=True, help="How many groups to measure.")
@json_option
def report(model: str, output: str, data: str | None, worst: int, as_json: bool) -> None:
    """Write the HTML report of a model: MODEL is a bundle's directory, an MLflow URI, or a run's id."""
    with at_work():
        from metamodel.flavor.load import load_model
        from metamodel.report import permute_worst, write_report
        from metamodel.tables.sources import read_data
        from metamodel.tracking.registry import model_of_run

        bundle = load_model(model_of_run(model)).bundle
        permuted = permute_worst(bundle, read_data(data, bundle.manifest.keys.names), worst) if data else None
        path = write_report(bundle, Path(output), permuted)
        facts = {"output": str(path), "bytes": path.stat().st_size}
    click.echo(dumps(facts) if as_json else f"Written to {path}; open it in any browser.")
