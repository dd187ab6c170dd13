"""The kind of an option that is true, false, or left to be decided."""

from typing import Any

import click

__all__ = ["AutoSwitch"]


class AutoSwitch(click.ParamType):  # type: ignore[type-arg]
    """True, false, or auto."""

    name = "auto|true|false"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool | str:
        """Parse."""
        if value == "auto":
            return "auto"
        try:
            if not isinstance(value, str | bool):
                raise click.BadParameter("")
            return bool(click.BOOL.convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{value!r} is neither true, false nor auto", param, ctx)
