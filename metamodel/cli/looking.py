"""``metamodel inspect``, ``report`` and ``export``: what is in a model."""

from pathlib import Path
from typing import Any

import click

from metamodel.cli.options import Exit, Json, WholeNumber, at_work, json_option
from metamodel.cli.output import dumps, section
from metamodel.exceptions import InputError

__all__ = ["export", "inspect", "report"]


@click.command()
@click.argument("model")
@click.option("--group", type=Json(list), default=None, help='One child: its key as a JSON array, such as ["FR", 7].')
@click.option(
    "--worst", type=WholeNumber(), default=10, show_default=True, help="How many of the worst groups to show."
)
@click.option("--verify", is_flag=True, help="Read every file of the bundle and check its digest.")
@json_option
def inspect(model: str, group: list[Any] | None, worst: int, verify: bool, as_json: bool) -> None:
    """Show a model: its summary, its worst groups, or one child."""
    with at_work():
        from metamodel.flavor.load import load_model
        from metamodel.report import inspection

        opened = load_model(model)
        facts = inspection.one_child(opened, tuple(group)) if group is not None else inspection.overview(opened, worst)
        if verify:
            facts |= inspection.damage(opened)
    if as_json:
        click.echo(dumps(facts))
    else:
        click.echo("\n\n".join(section(name, value) for name, value in facts.items()))
    if facts.get("damaged_files"):
        raise Exit(f"Damaged files: {', '.join(facts['damaged_files'])}. Restore the bundle.", 1)


@click.command(short_help="Write the HTML report of a model.")
@click.argument("model")
@click.option("--output", default="report.html", show_default=True, help="File to write.")
@click.option("--data", default="", help="A table, to measure on it what counts for the worst groups.")
@click.option("--worst", type=WholeNumber(), default=6, show_default=True, help="How many groups to measure.")
@json_option
def report(model: str, output: str, data: str, worst: int, as_json: bool) -> None:
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


@click.command()
@click.argument("model")
@click.option("--group", type=Json(list), required=True, help='The child\'s key as a JSON array, such as ["FR", 7].')
@click.option("--output", required=True, type=click.Path(), help="Directory to write; it must not exist yet.")
@json_option
def export(model: str, group: list[Any], output: str, as_json: bool) -> None:
    """Write one child as an ordinary MLflow scikit-learn model."""
    with at_work():
        from metamodel.flavor.export import export_child
        from metamodel.flavor.load import load_model

        if Path(output).exists():
            raise InputError(f"{output} exists already. Name a directory that does not.")
        opened = load_model(model)
        export_child(opened, tuple(group), output)
        if opened.bundle.weights is not None:
            click.echo(
                "note: the meta-model blends this child's predictions with its parents'; alone it does not", err=True
            )
    click.echo(
        dumps({"output": output}) if as_json else f"Written to {output}; load it with mlflow.sklearn.load_model."
    )
