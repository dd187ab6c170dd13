"""What the commands share: kinds of values, options with one rule for empty values, and how errors end."""

import contextlib
import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from metamodel.cli.base.auto_switch import AutoSwitch
from metamodel.common.failures import known_failure, without_walls
from metamodel.common.messages import short_line
from metamodel.common.option import Form, OptionGroup
from metamodel.common.option import Option as Declared
from metamodel.common.uris import redacted
from metamodel.exceptions import AllGroupsFailed, GateFailed, InputError, MetaModelError, StorageFailed, UnknownGroup

__all__ = [
    "EmptyableOption",
    "Exit",
    "Json",
    "Names",
    "Number",
    "Text",
    "Unwritten",
    "WholeNumber",
    "argument",
    "at_work",
    "json_option",
    "option",
    "option_of",
    "options_of",
    "switch",
]


class Text(click.ParamType):  # type: ignore[type-arg]
    """A text; a file of options could hold something else."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Insist on a text."""
        if not isinstance(value, str):
            self.fail(f"{value!r} is no text; write it in quotation marks", param, ctx)
        return value


class Names(click.ParamType):  # type: ignore[type-arg]
    """Names behind one another, ``country,store``, or a list of them."""

    name = "NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Split at commas."""
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.fail(f"{value!r} is no list of names", param, ctx)
        return [name.strip() for name in names if name.strip()]


class Texts(click.ParamType):  # type: ignore[type-arg]
    """A text, in which commas may stand between several, or a list of texts."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | list[str]:
        """Insist on texts."""
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            self.fail(f"{value!r} is neither a text nor a list of texts", param, ctx)
        return value


class Json(click.ParamType):  # type: ignore[type-arg]
    """A JSON value."""

    name = "JSON"

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse, and insist on the kind of value."""
        parsed = value
        if isinstance(value, str):
            try:
                parsed = json.loads(value)
            except ValueError as error:
                self.fail(f"{value!r} is no JSON: {error}", param, ctx)
        if not isinstance(parsed, self._kind):
            self.fail(f"{value!r} is no JSON {'object' if self._kind is dict else 'array'}", param, ctx)
        return parsed


class Space(click.ParamType):  # type: ignore[type-arg]
    """A search space: auto, a file's path, or in a file of options the space itself."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Leave it as it is."""
        if not isinstance(value, str | bool | Mapping):
            self.fail(f"{value!r} is neither auto, nor a file's path, nor a search space", param, ctx)
        return value


class Table(click.ParamType):  # type: ignore[type-arg]
    """A file's path, or in a file of options the rows themselves."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Leave it as it is."""
        rows = isinstance(value, list) and all(isinstance(row, Mapping) for row in value)
        if not rows and not isinstance(value, str):
            self.fail(f"{value!r} is neither a file's path nor a list of rows", param, ctx)
        return value


class WholeNumber(click.ParamType):  # type: ignore[type-arg]
    """An integer; MLproject's numbers are floats, so ``2.0`` is one too."""

    name = "INTEGER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse without rounding."""
        try:
            if isinstance(value, bool) or int(float(value)) != float(value):
                raise ValueError
        except (ValueError, OverflowError, TypeError):  # text, NaN; infinity; a list
            self.fail(f"{value!r} is no whole number", param, ctx)
        return int(float(value))


class Number(click.ParamType):  # type: ignore[type-arg]
    """A number.

    Parameters
    ----------
    name
        What stands for the value in the help.
    what
        What a text that is no number is told not to be.
    """

    def __init__(self, name: str = "NUMBER", what: str = "number") -> None:
        self.name = name
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse."""
        try:
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        except (ValueError, TypeError):
            self.fail(f"{value!r} is no {self._what}", param, ctx)


_FORMS: dict[Form, click.ParamType] = {  # type: ignore[type-arg]
    "text": Text(),
    "texts": Texts(),
    "names": Names(),
    "object": Json(dict),
    "space": Space(),
    "table": Table(),
    "whole": WholeNumber(),
    "number": Number(),
    "seconds": Number("SECONDS", "number of seconds"),
    "share": Number("SHARE", "share"),
}


@dataclass(frozen=True)
class Unwritten:
    """Stands in a file of options for an object that only a program can give."""

    file: str
    what: str


class EmptyableOption(click.Option):
    """An option that may be left empty: an empty one that has a default is not given, another one is None.

    MLproject hands every parameter on, given or not; an empty one must not hide what a file of options says.
    """

    def __init__(self, *args: Any, **attrs: Any) -> None:
        if not attrs.get("is_flag") and attrs.get("type") is None:
            attrs["type"] = Text()
        super().__init__(*args, **attrs)
        self._may_be_none = attrs.get("default") is None and not self.required

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Take the value of the command line, of a file of options, or the default."""
        assert self.name is not None
        if opts.get(self.name) == "":
            if self._may_be_none:
                return None, ParameterSource.COMMANDLINE
            opts = {name: value for name, value in opts.items() if name != self.name}
        value, source = super().consume_value(ctx, opts)
        if isinstance(value, Unwritten):
            raise click.UsageError(
                f"{value.file} does not hold {self.name}, which was an object in Python ({value.what}). "
                f"Give {self.opts[-1]} beside --config.",
                ctx,
            )
        return value, source


option = functools.partial(click.option, cls=EmptyableOption)

argument = functools.partial(click.argument, type=Text())


def switch(
    name: str, default: bool | str | None, help: str, *, auto: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command ``--name``, ``--name false`` and ``--no-name``: people like words, MLproject has only values.

    `click_groups.Command` makes one value of both.
    """
    word = name.replace("_", "-")
    shown: dict[str, Any] = {
        "type": AutoSwitch() if auto else bool,
        "is_flag": False,
        "flag_value": True,
        "metavar": "[auto|true|false]" if auto else "[true|false]",
        "help": help,
    }

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        on = option(f"--{word}", default=default, show_default=default is not None, **shown)
        return on(click.option(f"--no-{word}", f"no_{name}", is_flag=True, hidden=True)(command))

    return decorate


def options_of(*groups: OptionGroup) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command all options of some groups, as they are declared."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for one in reversed([one for group in groups for one in group.options]):
            command = option_of(one)(command)
        return command

    return decorate


def option_of(one: Declared) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a command's option of a declared one."""
    if one.form in ("switch", "auto_switch"):
        return switch(one.name, one.default, one.help, auto=one.form == "auto_switch")
    # For click an option whose default is None has one, and is never missing.
    default: dict[str, Any] = {} if one.required else {"default": one.default}
    return option(
        f"--{one.name.replace('_', '-')}",
        type=_FORMS[one.form],
        required=one.required,
        show_default=default.get("default") is not None,
        help=one.help,
        **default,
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@contextlib.contextmanager
def at_work(output_dir: str | None = None) -> Iterator[None]:
    """Turn the errors that people cause into one line and an exit code; what libraries print goes to stderr.

    Parameters
    ----------
    output_dir
        Where a training keeps the groups that are finished.
    """
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow.store.db.utils").addFilter(without_walls)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (InputError, AllGroupsFailed, UnknownGroup) as error:
        raise Exit(str(error), 2) from error
    except GateFailed as error:
        raise Exit(str(error), 3) from error
    except MetaModelError as error:
        raise Exit(str(error) + (_kept(output_dir) if isinstance(error, StorageFailed) else ""), 1) from error
    except Exception as error:
        if isinstance(failure := known_failure(error), StorageFailed):
            raise Exit(str(failure) + _kept(output_dir), 1) from error
        if isinstance(error, MlflowException):
            said = (error.message.splitlines() or ["nothing"])[0]
            raise Exit(f"MLflow refused: {redacted(short_line(said))}", 1) from error
        if failure is not None:
            raise Exit(str(failure), 2) from error
        raise


def _kept(output_dir: str | None) -> str:
    """Say that a training can go on where it was."""
    path = Path(output_dir) if output_dir else None
    if path is None or not any(path.with_name(f".{path.name}.work").glob("tasks/*")):
        return ""
    return " The groups that are finished are kept; the same command goes on with the others."


class Exit(click.ClickException):
    """Ends the command with one line and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"error: {self.message}", err=True)
