"""Options that are on or off, given as a word or with a value."""

import functools
from collections.abc import Callable
from typing import Any

import click

__all__ = ["switch"]


def switch(name: str, default: bool, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command ``--name``, ``--name false`` and ``--no-name``: people like words, MLproject has only values."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def folded(**options: Any) -> Any:
            off = options.pop(f"no_{name}")
            return command(**{**options, name: options[name] and not off})

        word = name.replace("_", "-")
        on = click.option(
            f"--{word}",
            type=bool,
            is_flag=False,
            flag_value=True,
            default=default,
            show_default=True,
            metavar="[true|false]",
            help=text,
        )
        return on(click.option(f"--no-{word}", f"no_{name}", is_flag=True, hidden=True)(folded))

    return decorate
