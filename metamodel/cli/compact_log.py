"""``metamodel compact-log``."""

import json
from typing import Any

import click

from metamodel.cli.base.options import argument, at_work, json_option, option
from metamodel.cli.base.output import dumps
from metamodel.common.messages import count
from metamodel.exceptions import InputError

__all__ = ["compact_log"]


@click.command(short_help="Put the files of a prediction log together, by day.")
@argument("folder")
@option("--delete-older", metavar="LENGTH", help="Delete the rows of days that lie longer ago, such as 90d.")
@option(
    "--forget-entity",
    multiple=True,
    help='Delete the rows of one whom rows are about, of several columns as JSON (["FR", 7]); may be given again.',
)
@json_option
def compact_log(folder: str, delete_older: str | None, forget_entity: tuple[str, ...], as_json: bool) -> None:
    """Put the files of the prediction log in FOLDER together, by day, while it is written and read.

    To Delta where deltalake is installed, else to folders of Parquet. METAMODEL_LOG_SECRET is the key of pseudonyms.
    """
    with at_work():
        from metamodel.prediction_log.compaction import compact_log as compact

        entities = [values for text in forget_entity for values in _readings(text)]
        done = compact(folder, delete_older=delete_older, forget_entity=entities)
    if as_json:
        click.echo(dumps(done.to_dict()))
        return
    click.echo(f"{count(done.rows, 'row')} of {count(done.files, 'file')} compacted in {folder}")
    if done.damaged:
        click.echo(f"  {count(done.damaged, 'file')} that cannot be read set aside in {folder}/damaged")
    if delete_older:
        click.echo(f"  {count(done.deleted, 'row')} older than {delete_older} deleted")
    if forget_entity:
        click.echo(f"  {count(done.forgotten, 'row')} forgotten")


def _readings(text: str) -> list[list[Any]]:
    """Read an entity: a list in JSON, else one text, or the number that it looks like."""
    if text.startswith("["):
        try:
            return [list(json.loads(text))]
        except ValueError as error:
            raise InputError(f"--forget-entity {text!r} is no list in JSON ({error}).") from error
    return [[text], [int(text)]] if text.removeprefix("-").isdecimal() else [[text]]
