"""What every command shares: kinds of options, and how errors end."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from metamodel.exceptions import AllGroupsFailed, InputError, MetaModelError, UnknownGroup

__all__ = [
    "SECONDS",
    "SHARE",
    "Exit",
    "Json",
    "Names",
    "WholeNumber",
    "at_work",
    "inputs_option",
    "json_option",
    "logging_options",
]


class Names(click.ParamType):  # type: ignore[type-arg]
    """A list of names behind one another: ``country,store``."""

    name = "NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Split at commas."""
        return value if isinstance(value, list) else [name.strip() for name in value.split(",") if name.strip()]


class Json(click.ParamType):  # type: ignore[type-arg]
    """A JSON value; an empty string is none."""

    name = "JSON"

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse, and insist on the kind of value."""
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            parsed = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is no JSON: {error}", param, ctx)
        if not isinstance(parsed, self._kind):
            self.fail(f"{value!r} is no JSON {'object' if self._kind is dict else 'array'}", param, ctx)
        return parsed


class WholeNumber(click.ParamType):  # type: ignore[type-arg]
    """An integer; MLproject's numbers are floats, so ``2.0`` is one too; if optional, ``""`` is none."""

    name = "INTEGER"

    def __init__(self, optional: bool = False) -> None:
        self._optional = optional

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Parse without rounding."""
        if self._optional and value == "":
            return None
        try:
            number = int(float(value))
        except (ValueError, OverflowError):  # text, NaN; infinity
            self.fail(f"{value!r} is no whole number", param, ctx)
        if number != float(value):
            self.fail(f"{value!r} is no whole number", param, ctx)
        return number


class OptionalNumber(click.ParamType):  # type: ignore[type-arg]
    """A number; an empty string, as MLproject's parameters have it, is none.

    Parameters
    ----------
    name
        What stands for the value in the help.
    what
        What a text that is no number is told not to be.
    """

    def __init__(self, name: str, what: str) -> None:
        self.name = name
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Parse."""
        if value == "":
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is no {self._what}", param, ctx)


SECONDS = OptionalNumber("SECONDS", "number of seconds")

SHARE = OptionalNumber("SHARE", "share")


@contextlib.contextmanager
def at_work() -> Iterator[None]:
    """Turn the errors that people cause into one line and an exit code; what libraries print goes to stderr."""
    from mlflow.exceptions import MlflowException

    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (InputError, AllGroupsFailed, UnknownGroup) as error:
        raise Exit(str(error), 2) from error
    except MetaModelError as error:
        raise Exit(str(error), 1) from error
    except MlflowException as error:
        raise Exit(f"MLflow refused: {error.message.splitlines()[0]}", 1) from error
    except OSError as error:
        if error.filename is None:
            raise
        reason = f"{error.filename!r} cannot be used: {error.strerror}. Check the path and who may write there."
        raise Exit(reason, 2) from error


class Exit(click.ClickException):
    """Ends the command with one line and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"error: {self.message}", err=True)


inputs_option = click.option(
    "--inputs",
    type=click.Choice(["columns", "unchecked", "packed"]),
    default="columns",
    show_default=True,
    help="Form of the signature.",
)


def logging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--log-children``, and how the tracking server is spared by it."""
    kinds = click.Choice(["bundle", "models", "runs"])
    decorators = [
        click.option(
            "--log-children",
            type=kinds,
            default="bundle",
            show_default=True,
            help="Where children are logged: in the model alone, as MLflow models of their own, or as nested runs.",
        ),
        click.option(
            "--rate", type=float, default=20.0, show_default=True, help="With models and runs: requests a second."
        ),
        click.option(
            "--concurrency", type=WholeNumber(), default=4, show_default=True, help="Groups logged side by side."
        ),
        click.option(
            "--server-patience", type=float, default=120.0, show_default=True, help="Seconds to wait for the server."
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(command)
