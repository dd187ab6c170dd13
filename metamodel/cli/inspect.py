"""``metamodel inspect``."""

import click

from metamodel.cli.base.options import Exit, WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps, section

__all__ = ["inspect"]


@click.command()
@argument("model")
@option("--group", default=None, help='One group: its value, its values as FR,7, or a JSON array such as ["FR", 7].')
@option("--worst", type=WholeNumber(), default=10, show_default=True, help="How many of the worst groups to show.")
@click.option("--verify", is_flag=True, help="Read every file of the bundle and check its digest.")
@json_option
def inspect(model: str, group: str | None, worst: int, verify: bool, as_json: bool) -> None:
    """Show a model: its summary, its worst groups, or one group."""
    with at_work():
        from metamodel.flavor.load import load_model
        from metamodel.report import inspection
        from metamodel.tables.key_text import key_of_text

        opened = load_model(model)
        if group is None:
            facts = inspection.overview(opened, worst)
        else:
            key = key_of_text(group, opened.manifest.keys, opened.manifest.levels)
            facts = inspection.one_group(opened, key)
        if verify:
            facts |= inspection.damage(opened)
    if as_json:
        click.echo(dumps(facts))
    else:
        click.echo("\n\n".join(section(name, value) for name, value in facts.items()))
    if facts.get("damaged_files"):
        raise Exit(f"Damaged files: {', '.join(facts['damaged_files'])}. Restore the bundle.", 1)
