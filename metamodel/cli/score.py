"""``metamodel score``."""

import sys
from typing import TYPE_CHECKING, Any

import click

from metamodel.cli.base.answer_options import explore_options, log_options, pop_log
from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Number, at_work, json_option, option, switch
from metamodel.cli.base.output import dumps
from metamodel.common.messages import count
from metamodel.exceptions import InputError

if TYPE_CHECKING:
    from metamodel.scoring.summary import ScoreSummary

__all__ = ["score"]


@click.command(cls=Command)
@option("--data", required=True, help="CSV, Parquet file or folder; delta:PATH; or a built-in sample.")
@option("--model", required=True, help="MLflow URI (models:/NAME@ALIAS), or a path.")
@option("--output", required=True, help="File to write, .parquet or .csv; delta:PATH; on Spark also a table.")
@option("--engine", default="local", show_default=True, help="local or spark.")
@option("--unknown", help="Override the recorded policy: null, error or fallback.")
@option("--predict-method", help="predict, predict_proba, decision_function, score_samples or transform.")
@switch("detail", None, "Add key, level, child version and error.")
@option("--prefix", default="", help="Put before the names of the columns that are added.")
@explore_options
@option(
    "--max-failed",
    type=Number("SHARE", "share"),
    help="End with code 1 where a larger share of the rows has no answer; default: where no row has one.",
)
@log_options
@json_option
def score(
    data: str,
    model: str,
    output: str,
    *,
    engine: str,
    prefix: str,
    max_failed: float | None,
    explore: float | None,
    explore_entity: list[str] | None,
    as_json: bool,
    **params: Any,
) -> None:
    """Add predictions to a table; where the target is in it, say how far off they are."""
    with at_work():
        from metamodel.scoring import score_file

        if max_failed is not None and not 0 <= max_failed <= 1:
            raise InputError(f"--max-failed {max_failed:g} is no share. Give a number from 0 to 1.")
        log = pop_log(params)
        given = {name: value for name, value in params.items() if value is not None}
        summary = score_file(
            data, model, output, engine=engine, params=given, prefix=prefix,
            explore=explore, explore_entity=explore_entity or (), log=log,
        )  # fmt: skip
    click.echo(dumps({"output": output, **summary.to_dict()}) if as_json else _text(summary, output))
    for line in _reasons(summary):
        click.echo(line, err=True)
    if refusal := _refusal(summary, max_failed):
        click.echo(f"error: {refusal}", err=True)
        sys.exit(1)


def _text(summary: "ScoreSummary", output: str) -> str:
    from metamodel.bundle.display import number_text

    lines = [f"{summary.rows:,} rows written to {output}"]
    lines += [
        f"  {status:<14} {rows:>12,}" for status, rows in sorted(summary.statuses.items(), key=lambda item: -item[1])
    ]
    if summary.metrics:
        metrics = ", ".join(f"{name} {number_text(value)}" for name, value in summary.metrics.items())
        lines.append(f"against the target in {summary.judged_rows:,} answered rows: {metrics}")
    return "\n".join(lines)


def _reasons(summary: "ScoreSummary") -> list[str]:
    """Say why rows were not answered, the commonest reason first."""
    shown = summary.commonest()
    lines = [f"{status}, {count(rows, 'row')}: {text}" for status, text, rows in shown]
    others = len(summary.reasons) - len(shown)
    return [*lines, f"... and {count(others, 'rarer reason')}"] if others > 0 else lines


def _refusal(summary: "ScoreSummary", max_failed: float | None) -> str:
    """Say why this scoring counts as failed; empty where it does not."""
    if not summary.rows:
        return ""
    share = summary.unanswered / summary.rows
    if max_failed is None:
        return "No row was answered; the reasons are above." if share == 1 else ""
    return (
        f"{share:.1%} of the rows have no answer, more than --max-failed {max_failed:g}." if share > max_failed else ""
    )
