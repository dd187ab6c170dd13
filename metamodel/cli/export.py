"""``metamodel export``."""

from pathlib import Path
from typing import Any

import click

from metamodel.cli.options import Json, argument, at_work, json_option, option
from metamodel.cli.output import dumps
from metamodel.exceptions import InputError

__all__ = ["export"]


@click.command()
@argument("model")
@option("--group", type=Json(list), required=True, help='The child\'s key as a JSON array, such as ["FR", 7].')
@option("--output", required=True, help="Directory to write; it must not exist yet.")
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
