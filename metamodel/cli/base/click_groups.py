"""How the commands show themselves: in the order of use, options under headings, and errors of use on one line."""

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from metamodel.cli.base.config import config_options, keys_of, used
from metamodel.cli.base.options import Exit
from metamodel.common.error_stream import forgive_stderr
from metamodel.common.option import OptionGroup

__all__ = ["Command", "Commands"]


class Commands(click.Group):
    """Commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them in the order of use, not of the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a misspelt option or command is one line like every other error."""
        forgive_stderr(wait=True)
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            path = (error.ctx or ctx).command_path
            message = error.format_message()
            stop = "" if message[-1] in ".?)" else "."
            raise Exit(f"{message}{stop} `{path} --help` says what there is.", error.exit_code) from error


class Command(click.Command):
    """A command that takes its options from a file too.

    Parameters
    ----------
    groups
        Headings of its options; those that no heading has come last.
    """

    def __init__(self, *args: Any, groups: Sequence[OptionGroup] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.groups = groups
        self.params += config_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line and the file; of ``--name`` and ``--no-name`` make one value."""
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            raise _of_file(error, ctx) from error
        for name in [name for name in ctx.params if name.startswith("no_")]:
            if ctx.params.pop(name):
                ctx.params[name.removeprefix("no_")] = False
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, or print what it would use."""
        if not ctx.params.pop("print_config"):
            return super().invoke(ctx)
        from metamodel.training.options.written import config_text, written_down

        click.echo(config_text(written_down(used(ctx)), self.groups), nl=False)
        return None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        if not self.groups:
            super().format_options(ctx, formatter)
            return
        records = {str(option.name): option.get_help_record(ctx) for option in self.get_params(ctx)}
        for group in self.groups:
            with formatter.section(group.heading):
                formatter.write_dl([record for one in group.options if (record := records.pop(one.name))])
        with formatter.section("Other"):
            formatter.write_dl([record for record in records.values() if record])


def _of_file(error: click.BadParameter, ctx: click.Context) -> click.UsageError:
    """Say that a bad value stands in the file of options, where it does."""
    name = error.param.name if error.param else None
    if name is None or ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP:
        return error
    key = next(key for key, parameter in keys_of(ctx.command).items() if parameter.name == name)
    return click.UsageError(f"{ctx.meta['metamodel.config']}: {key}: {error.message}", ctx)
