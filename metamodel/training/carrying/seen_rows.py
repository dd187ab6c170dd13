"""Remember which rows each child has seen, where no time says it: children of this training, and carried ones."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from metamodel.bundle.carry.seen import write_seen
from metamodel.bundle.ledger_queries import cells, encoded_keys_of
from metamodel.common.arrays import HashArray
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.carrying.joining import Carrying
from metamodel.training.engines.task import TaskResult
from metamodel.training.plan import Plan, TablePlan

__all__ = ["record_seen"]


def record_seen(
    directory: Path, plan: Plan, ledger: pd.DataFrame, results: Iterable[TaskResult], carrying: Carrying | None
) -> None:
    """Write the hashes of the rows that every child has seen into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    plan
        What was trained.
    ledger
        Says which groups have a child, and of this training.
    results
        What the tasks handed back; they hold the hashes where the plan has no table.
    carrying
        What is taken over from the version before.
    """
    fitted = set(encoded_keys_of(cells(ledger, ledger["status"] == "fitted", [*plan.keys.names, "level"]), plan.keys))
    if isinstance(plan, TablePlan):
        seen = {text: hashes for key, hashes in _of_table(plan) if (text := encode_key(key)) in fitted}
    else:
        seen = {key: hashes for result in results for key, hashes in result.seen.items() if key in fitted}
    if carrying is not None:
        before = carrying.seen
        seen |= {key: before[key] for key in carrying.child_keys if key in before}
    write_seen(directory, seen)


def _of_table(plan: TablePlan) -> Iterator[tuple[GroupKey, HashArray]]:
    """Gather the hashes of every group of every level: as `seen_hashes` does it for one, in one sort a level."""
    table = plan.table
    assert table.contents is not None
    has_target = ~pd.isna(table.y)
    for level in (len(plan.keys.columns), *plan.levels):
        grouping = plan.grouping.at_level(level)
        fitted = np.array([isinstance(key, tuple) and plan.fits(key) for key in grouping.keys], dtype=bool)
        rows = np.flatnonzero(has_target & fitted[grouping.codes])
        groups, of_level = grouping.codes[rows], table.contents[rows]
        order = np.lexsort((of_level, groups))
        groups, of_level = groups[order], of_level[order]
        again = (groups[1:] == groups[:-1]) & (of_level[1:] == of_level[:-1])
        kept = np.concatenate([np.ones(len(order[:1]), dtype=bool), ~again])
        groups, of_level = groups[kept], of_level[kept]
        bounds = np.searchsorted(groups, np.arange(len(grouping.keys) + 1)).tolist()
        for i, key in enumerate(grouping.keys):
            if fitted[i]:
                assert isinstance(key, tuple)
                yield key, of_level[bounds[i] : bounds[i + 1]]
