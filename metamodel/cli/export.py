"""``metamodel export``."""

from pathlib import Path

import click

from metamodel.cli.base.options import argument, at_work, json_option, option
from metamodel.cli.base.output import dumps
from metamodel.exceptions import InputError

__all__ = ["export"]


@click.command()
@argument("model")
@option("--group", required=True, help='The group: its value, its values as FR,7, or a JSON array such as ["FR", 7].')
@option("--output", required=True, help="Directory to write; it must not exist yet.")
@json_option
def export(model: str, group: str, output: str, as_json: bool) -> None:
    """Write one child as an ordinary MLflow scikit-learn model."""
    with at_work():
        from metamodel.flavor.export import export_child
        from metamodel.flavor.load import load_model
        from metamodel.tables.key_text import key_of_text

        if Path(output).exists():
            raise InputError(f"{output} exists already. Name a directory that does not.")
        opened = load_model(model)
        export_child(opened, key_of_text(group, opened.manifest.keys, opened.manifest.levels), output)
        if opened.bundle.weights is not None:
            click.echo(
                "note: the meta-model blends this child's predictions with its parents'; alone it does not", err=True
            )
    click.echo(
        dumps({"output": output}) if as_json else f"Written to {output}; load it with mlflow.sklearn.load_model."
    )
