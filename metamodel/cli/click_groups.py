"""How the commands show themselves: in the order of use, options under headings, and errors of use on one line."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from metamodel.cli.options import Exit

__all__ = ["Commands", "Sections"]


class Commands(click.Group):
    """Commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them in the order of use, not of the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a misspelt option or command is one line like every other error."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            path = (error.ctx or ctx).command_path
            message = error.format_message()
            stop = "" if message[-1] in ".?)" else "."
            raise Exit(f"{message}{stop} `{path} --help` says what there is.", error.exit_code) from error


class Sections(click.Command):
    """A command with many options.

    Parameters
    ----------
    sections
        Heading → names of its options; those that no heading has come last.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        records = {str(option.name): option.get_help_record(ctx) for option in self.get_params(ctx)}
        for heading, names in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([record for name in names if (record := records.pop(name))])
        with formatter.section("Other"):
            formatter.write_dl([record for record in records.values() if record])
