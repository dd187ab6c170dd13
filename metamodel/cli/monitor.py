"""``metamodel monitor``."""

import sys
from pathlib import Path
from typing import Any

import click

from metamodel.cli.base.click_groups import Command
from metamodel.cli.base.options import Names, Number, WholeNumber, argument, at_work, json_option, option
from metamodel.cli.base.output import dumps

__all__ = ["monitor"]

# Beside 0 (nothing that an update may not go on from), 1 (a fault) and 2 (bad input).
_INCIDENT = 3


@click.command(cls=Command, short_help="Say which groups went wrong in a window, why, and whom to retrain.")
@argument("model")
@option("--data", required=True, help="Rows of the window, with or without predictions; or counts of them.")
@option("--labels", help="Table of what came true: the columns of --on, and the target.")
@option("--on", type=Names(), default="row_id", show_default=True, help="Columns that name a row.")
@option("--baseline", default="training", help="training (default), previous, last_year, a pinned name, or a table.")
@option("--window", help="Cut the rows into windows of this length, such as 1w, and judge the last one.")
@option("--output", required=True, help="Folder that remembers windows, and gets tables, monitor.json, metrics.prom.")
@option("--retrain-list", help="Also write the list of groups to retrain here, for metamodel update.")
@option("--fdr", type=Number(), default=0.05, help="Share of false ones among the groups that alarm (0.05).")
@option(
    "--min-effect", type=Number(), default=0.1, help="Changes below are of no account, in standard deviations (0.1)."
)
@option("--min-rows", type=WholeNumber(), default=20, help="Groups with fewer rows borrow earlier windows' (20).")
@option("--budget", type=Number(), help="Share of the groups to list as the most suspicious by their errors (0.1).")
@option("--max-share", type=Number(), help="Block the list where it holds more of the groups than that (0.2).")
@option("--min-new-rows", type=Number(), help="List groups with so many rows since their training, as a share of it.")
@option("--max-age", help="List groups whose child is older than that, such as 8w.")
@option("--history", help="Keep what is said of the groups in the history in this folder, too (METAMODEL_HISTORY).")
@json_option
def monitor(model: str, *, retrain_list: str | None, as_json: bool, **options: Any) -> None:
    """Compare a window with what each group of MODEL was trained on; ends with code 3 where an incident blocks."""
    with at_work():
        from metamodel.common.whole_files import whole_file
        from metamodel.monitoring.monitor import monitor as judge

        given = {name: value for name, value in options.items() if value is not None}
        result = judge(model, given.pop("data"), **given)
        if retrain_list:
            with whole_file(Path(retrain_list)) as unfinished:
                result.retrain.to_parquet(unfinished, index=False)
    click.echo(dumps(result.to_dict()) if as_json else str(result))
    if result.has_incident:
        sys.exit(_INCIDENT)
