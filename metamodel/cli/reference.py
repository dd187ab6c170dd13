"""``metamodel reference``."""

from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Json, Names, Number, at_work, json_option, option, switch
from metamodel.cli.base.output import dumps, section

__all__ = ["reference"]


@click.command(cls=Command, short_help="Make one model of children that are registered already.")
@option("--children", default="", help="File with the group columns and uri, or models:/sales-{country}@champion.")
@option("--search", default="", help="Instead: registered models by tags, such as tags.project = 'sales'.")
@option("--follow", default="", help="With --search: the alias to refer to; default: the latest version.")
@option("--example", required=True, help="File with rows as callers will send them; a template takes its keys.")
@option("--group-by", required=True, type=Names(), help="Group columns, separated by commas.")
@option("--target", default="prediction", show_default=True, help="Name of what is predicted.")
@option("--features", type=Names(), default="", help="Feature columns; default: every other column.")
@option("--classes", type=Json(list), default=None, help="Of classifiers: every class, as a JSON array.")
@option("--unknown", default="null", show_default=True, help="Groups without a child: null, error or fallback.")
@switch("pin", False, "Record the versions of now instead of following aliases.")
@option("--refresh", type=Number(), default=None, help="Seconds after which aliases are resolved again.")
@option("--rate", type=Number(), default=20.0, show_default=True, help="Requests a second, all workers together.")
@option("--deadline", type=Number(), default=10.0, show_default=True, help="Seconds an endpoint may take.")
@option("--root", multiple=True, help="Directory that file paths may point into; can be repeated.")
@click.option("--allow-private", is_flag=True, help="Allow endpoints at private and loopback addresses.")
@option("--register", default="", help="Register a version of the model under this name.")
@option("--alias", default="", help="Point this alias at the new version.")
@json_option
def reference(
    search: str,
    follow: str,
    refresh: float | None,
    rate: float,
    deadline: float,
    root: tuple[str, ...],
    allow_private: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a model of children that are registered, or served, already: it refers to them."""
    with at_work():
        from metamodel.bundle.references import ReferenceSettings
        from metamodel.tracking.references.reference_model import reference_files

        settings = ReferenceSettings(
            refresh_seconds=refresh,
            requests_per_second=rate,
            deadline_seconds=deadline,
            roots=root,
            allow_private=allow_private,
        )
        facts = reference_files(search=search, follow=follow, settings=settings, **options)
    click.echo(dumps(facts) if as_json else section("referring model", facts))
