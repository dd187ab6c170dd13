"""``metamodel pack`` and ``serve-check``."""

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import argument, at_work, json_option, option
from metamodel.cli.base.output import dumps, packed_text, section
from metamodel.exceptions import InputError

__all__ = ["pack", "serve_check"]


@click.command(cls=Command, short_help="Make an existing model faster, or pack it into one file.")
@argument("model")
@option("--data", help="Store children as arrays too, compared with them on these real rows.")
@click.option("--vendor", is_flag=True, help="Bring the children that the model refers to into its bundle.")
@option("--zip", "zip_file", help="Write the model, with its children, into this one file.")
@option("--output", help="With --data: write the bundle here; default: where it is, replaced.")
@option("--register", help="Register the packed model as a new version under this name.")
@option("--alias", help="Point this alias at the new version.")
@json_option
def pack(
    model: str,
    data: str | None,
    vendor: bool,
    zip_file: str | None,
    output: str | None,
    register: str | None,
    alias: str | None,
    as_json: bool,
) -> None:
    """Pack an existing model: for speed (--data), or so that it needs no other server (--vendor, --zip)."""
    with at_work():
        if bool(data) == bool(vendor or zip_file):
            raise InputError("Give either --data TABLE, or --vendor, --zip FILE or both of these.")
        if output and not data:
            raise InputError("--output goes with --data. The file that --zip names is written where it says.")
        if data:
            from metamodel.tracking.pack_stacks import repack

            packed = repack(model, data, output, register, alias)
            text = packed_text(packed, register, alias)
        else:
            from metamodel.tracking import pack_children

            packed = pack_children.pack(model, zip_file=zip_file or "", register=register or "", alias=alias or "")
            text = section("packed model", packed)
    click.echo(dumps(packed) if as_json else text)


@click.command("serve-check", short_help="Check a file that `pack --zip` wrote.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@json_option
def serve_check(file: str, as_json: bool) -> None:
    """Open a model that `pack --zip` wrote, as a server would, and load every child of it."""
    with at_work():
        from metamodel.tracking import pack_children

        facts = pack_children.serve_check(file)
    click.echo(dumps(facts) if as_json else section("this file can be served", facts))
