"""``metamodel gate``."""

import sys

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import argument, at_work, json_option, option, switch
from metamodel.cli.base.output import dumps
from metamodel.exceptions import InputError

__all__ = ["gate"]

# Beside 0 (passed), 1 (a fault) and 2 (bad input).
_FAILED = 3

_RULES = "gates.yaml"


@click.command(cls=Command, short_help="Judge a version by rules, most of them against the champion.")
@argument("model", required=False)
@option("--data", help="Rows that came after training: a table, or a built-in sample.")
@option("--against", help="The champion (models:/NAME@ALIAS); without it rules that need one pass.")
@option("--rules", help=f"YAML or JSON file; default: what --init writes. With --init the file to write ({_RULES}).")
@option("--output", help="Also write gate.json and gate.html into this folder.")
@click.option("--init", is_flag=True, help=f"Write rules for everybody into {_RULES}; judge nothing.")
@switch("record", True, "Log the report into the model's run, and tag run and version with the verdict.")
@json_option
def gate(
    model: str | None,
    data: str | None,
    against: str | None,
    rules: str | None,
    output: str | None,
    init: bool,
    record: bool,
    as_json: bool,
) -> None:
    """Judge MODEL by rules; ends with code 3 where one of them does not hold."""
    with at_work():
        from metamodel.lifecycle.gate import gate as judge
        from metamodel.lifecycle.gate import write_default_rules

        if init:
            click.echo(f"Written to {write_default_rules(rules or _RULES)}; adapt it.", err=True)
            return
        if not model or not data:
            raise InputError("Give a model and --data TABLE; or --init, to write rules.")
        report = judge(model, data, against, rules, record=record)
        if output:
            report.write(output)
    click.echo(dumps(report.to_dict()) if as_json else str(report))
    if not report.passed:
        sys.exit(_FAILED)
