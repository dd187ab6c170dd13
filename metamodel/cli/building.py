"""``metamodel pack``, ``reference`` and ``serve-check``: models made of models."""

from typing import Any

import click

from metamodel.cli.options import Json, Names, at_work, inputs_option, json_option
from metamodel.cli.output import dumps, packed_text, section
from metamodel.exceptions import InputError

__all__ = ["pack", "reference", "serve_check"]


@click.command(short_help="Make an existing model faster, or pack it into one file.")
@click.argument("model")
@click.option("--data", default="", help="Store children as arrays too, compared with them on these real rows.")
@click.option("--vendor", is_flag=True, help="Bring the children that the model refers to into its bundle.")
@click.option("--zip", "zip_file", default="", help="Write the model, with its children, into this one file.")
@click.option("--output", default="", help="With --data: write the bundle here; default: where it is, replaced.")
@click.option("--register", default="", help="Register the packed model as a new version under this name.")
@click.option("--alias", default="", help="Point this alias at the new version.")
@inputs_option
@json_option
def pack(
    model: str, data: str, vendor: bool, zip_file: str, output: str, register: str, alias: str, **form: Any
) -> None:
    """Pack an existing model: for speed (--data), or so that it needs no other server (--vendor, --zip)."""
    as_json = form.pop("as_json")
    with at_work():
        if bool(data) == bool(vendor or zip_file):
            raise InputError("Give either --data TABLE, or --vendor, --zip FILE or both of these.")
        if output and not data:
            raise InputError("--output goes with --data. The file that --zip names is written where it says.")
        if data:
            from metamodel.tracking.pack_stacks import repack

            packed = repack(model, data, output or None, register or None, alias or None, **form)
            text = packed_text(packed, register, alias)
        else:
            from metamodel.tracking import pack_children as packing

            packed = packing.pack(model, zip_file=zip_file, register=register, alias=alias, **form)
            text = section("packed model", packed)
    click.echo(dumps(packed) if as_json else text)


@click.command(short_help="Make one model of children that are registered already.")
@click.option(
    "--children", default="", help="File with the group columns and uri, or models:/sales-{country}@champion."
)
@click.option("--search", default="", help="Instead: registered models by tags, such as tags.project = 'sales'.")
@click.option("--follow", default="", help="With --search: the alias to refer to; default: the latest version.")
@click.option("--example", required=True, help="File with rows as callers will send them; a template takes its keys.")
@click.option("--group-by", required=True, type=Names(), help="Group columns, separated by commas.")
@click.option("--target", default="prediction", show_default=True, help="Name of what is predicted.")
@click.option("--features", type=Names(), default="", help="Feature columns; default: every other column.")
@click.option("--classes", type=Json(list), default=None, help="Of classifiers: every class, as a JSON array.")
@click.option("--unknown", default="null", show_default=True, help="Groups without a child: null, error or fallback.")
@click.option("--pin/--no-pin", default=False, help="Record the versions of now instead of following aliases.")
@click.option("--refresh", type=float, default=None, help="Seconds after which aliases are resolved again.")
@click.option("--rate", type=float, default=20.0, show_default=True, help="Requests a second, all workers together.")
@click.option("--deadline", type=float, default=10.0, show_default=True, help="Seconds an endpoint may take.")
@click.option("--root", multiple=True, help="Directory that file paths may point into; can be repeated.")
@click.option("--allow-private", is_flag=True, help="Allow endpoints at private and loopback addresses.")
@click.option("--register", default="", help="Register a version of the model under this name.")
@click.option("--alias", default="", help="Point this alias at the new version.")
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


@click.command("serve-check", short_help="Check a file that `pack --zip` wrote.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@json_option
def serve_check(file: str, as_json: bool) -> None:
    """Open a model that `pack --zip` wrote, as a server would, and load every child of it."""
    with at_work():
        from metamodel.tracking import pack_children as packing

        facts = packing.serve_check(file)
    click.echo(dumps(facts) if as_json else section("this file can be served", facts))
