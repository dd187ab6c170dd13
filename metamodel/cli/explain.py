"""``metamodel explain``."""

import click

from metamodel.cli.base.options import argument, at_work, json_option, option
from metamodel.cli.base.output import dumps

__all__ = ["explain"]


@click.command(short_help="Say which child answered for a group on a day, and why it may have been far off.")
@argument("model")
@option("--group", required=True, help='The group: FR,7 or ["FR", 7].')
@option("--on", help="A day or a time, UTC where no zone is said (default: now).")
@option("--history", help="Folder of the history, or s3://bucket/path (METAMODEL_HISTORY).")
@json_option
def explain(model: str, group: str, on: str | None, history: str | None, as_json: bool) -> None:
    """Explain the answers of MODEL (models:/NAME, models:/NAME@ALIAS or models:/NAME/8) for one group."""
    with at_work():
        from metamodel.lifecycle.explain import explain as ask

        explanation = ask(model, group, on, history=history)
    click.echo(dumps(explanation.to_dict()) if as_json else str(explanation))
