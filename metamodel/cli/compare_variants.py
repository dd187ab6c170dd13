"""``metamodel compare-variants``."""

import sys
from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Names, Number, at_work, json_option, option
from metamodel.cli.base.output import dumps

__all__ = ["compare_variants"]

# Beside 0 (the challenger is nowhere worse), 1 (a fault) and 2 (bad input).
_WORSE_OR_VOID = 3


@click.command(
    "compare-variants", cls=Command, short_help="Compare a roll-out's two models by their log and later outcomes."
)
@option("--log", required=True, help="The prediction log: its folder, a file, or delta:PATH.")
@option("--labels", required=True, help="A table of what became true: CSV, Parquet or delta:PATH.")
@option("--on", type=Names(), default="row_id", show_default=True, help="Columns that name a row in both.")
@option("--target", help="Column of the labels with the target: the models' errors are compared.")
@option("--outcome", help="Instead: column of the labels with a figure, such as revenue; its mean is compared.")
@option("--better", help="lower or higher; default: lower of errors, higher of outcomes.")
@option("--slices", multiple=True, help="Column to slice by, or several with commas between; can be repeated.")
@option("--fraction", type=Number("SHARE", "share"), help="Share that was meant; default: as the version's tag says.")
@option(
    "--unit", default="entity", show_default=True, help="entity, group, or a column of the log that names the units."
)
@option("--output", help="Also write variants.json, variants.html and variants.parquet into this folder.")
@json_option
def compare_variants(log: str, labels: str, output: str | None, as_json: bool, **options: Any) -> None:
    """Say which model is better, and whether the split was sound; ends with code 3 where it is worse, or void."""
    with at_work():
        from metamodel.lifecycle.rollouts.compare_variants import compare_variants as compare

        given = {name: value for name, value in options.items() if value not in (None, "")}
        found = compare(log, labels, **given)
        if output:
            found.write(output)
    click.echo(dumps(found.to_dict()) if as_json else str(found))
    if not found.passed:
        sys.exit(_WORSE_OR_VOID)
