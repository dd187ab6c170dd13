"""Files of options: `--config FILE` gives a command what its command line does not, `--print-config` writes one."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from metamodel.cli.base.options import EmptyableOption, Unwritten
from metamodel.common.messages import did_you_mean
from metamodel.common.option import OptionGroup, read_settings

__all__ = ["config_options", "keys_of", "used"]

# Key of a file that `log_model` wrote: what a program gave as an object.
_OBJECTS = "objects"

# A policy of that name; YAML has none.
_NULL_WORDS = {"unknown": "null"}


def config_options() -> list[click.Option]:
    """Make `--config` and `--print-config`."""
    read = EmptyableOption(
        ["--config"],
        is_eager=True,
        expose_value=False,
        callback=_read,
        metavar="FILE",
        help="YAML or JSON file of options; the command line wins.",
    )
    shown = click.Option(
        ["--print-config"], is_flag=True, help="Print what would be used as such a file, and do nothing."
    )
    return [read, shown]


def keys_of(command: click.Command) -> dict[str, click.Parameter]:
    """Name the parameters that a file of options can hold: as on the command line, with underscores."""
    return {
        one.opts[-1].lstrip("-").replace("-", "_"): one
        for one in command.params
        if one.expose_value and not getattr(one, "hidden", False) and one.name != "print_config"
    }


def used(ctx: click.Context) -> dict[str, Any]:
    """Say which options a command was given, or has by default; how it prints is its caller's affair."""
    values = {key: ctx.params[one.name or key] for key, one in keys_of(ctx.command).items()}
    return {key: value for key, value in values.items() if key != "json" and value not in (None, (), [], "")}


def _read(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Let the file's options stand in for those that the command line does not give."""
    if not path:
        return
    ctx.meta["metamodel.config"] = path
    given: dict[str, Any] = {}
    parameters = keys_of(ctx.command)
    for key, value in _entries(_content(path, ctx), path, ctx):
        name = key.replace("-", "_")
        if name not in parameters:
            raise click.UsageError(f"{path}: {_no_option(key, ctx)}", ctx)
        parameter = parameters[name]
        if parameter.name in given:
            raise click.UsageError(f"{path}: {key!r} stands twice. Keep one of both.", ctx)
        value = _NULL_WORDS.get(name) if value is None else value
        if value is not None:
            given[parameter.name or name] = _fitting(value, parameter, f"{path}: {key}", ctx)
    ctx.default_map = given


def _content(path: str, ctx: click.Context) -> Mapping[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.UsageError(
            f"The file of options {path!r} cannot be read: {reason}. Check the path.", ctx
        ) from error
    try:
        content = read_settings(text, is_json=path.lower().endswith(".json"))
    except ValueError as error:
        raise click.UsageError(f"The file of options {path!r} is malformed ({error}). Correct it.", ctx) from error
    if content is not None and not (isinstance(content, dict) and all(isinstance(key, str) for key in content)):
        raise click.UsageError(
            f"The file of options {path!r} holds no mapping from options to values. Correct it.", ctx
        )
    return content or {}


def _entries(content: Mapping[str, Any], path: str, ctx: click.Context) -> Iterator[tuple[str, Any]]:
    """Yield option and value, those in groups too."""
    groups: Iterable[OptionGroup] = getattr(ctx.command, "groups", ())
    keys = {group.key for group in groups}
    for key, value in content.items():
        if key != _OBJECTS and key not in keys:
            yield key, value
            continue
        if value is not None and not isinstance(value, Mapping):
            raise click.UsageError(f"{path}: {key!r} is a group of options, so {value!r} cannot be its value.", ctx)
        for name, entry in (value or {}).items():
            yield str(name), Unwritten(path, str(entry)) if key == _OBJECTS else entry


def _no_option(key: str, ctx: click.Context) -> str:
    """Say that there is no such option, and what may have been meant."""
    name = key.replace("-", "_")
    commands = getattr(ctx.find_root().command, "commands", {})
    others = [other for other, command in commands.items() if name in keys_of(command)]
    if others:
        owner = " and ".join(f"`{ctx.find_root().command_path} {other}`" for other in others)
        return f"{key!r} is an option of {owner}, not of `{ctx.command_path}`. Take it out."
    keys = [*keys_of(ctx.command), *(group.key for group in getattr(ctx.command, "groups", ()))]
    return f"There is no option {key!r}.{did_you_mean(name, keys)}"


def _fitting(value: Any, parameter: click.Parameter, where: str, ctx: click.Context) -> Any:
    """Insist on what click itself would make a text of, or walk through letter by letter."""
    if isinstance(value, Unwritten):
        return value
    if parameter.multiple:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise click.UsageError(f"{where}: {value!r} is no list of texts.", ctx)
        return texts
    if isinstance(parameter.type, type(click.BOOL)) and not isinstance(value, bool):
        raise click.UsageError(f"{where}: {value!r} is neither true nor false.", ctx)
    return value
