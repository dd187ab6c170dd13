"""Does monitoring cry wolf in columns of zeros and some positive values? Nothing changes here, and nothing may alarm.

    python benchmarks/zero_inflated.py

Columns with so many zeros, the rest exponential; windows of 20, 30 and 100 rows. `p < 1e-3 / 1e-3`: how often a group's
p-value is as small, over how often it says it is. `parents named`: those whose sums of their groups are no chance for
the test, and `alarms` those that moved by as much as anybody cares about (0.1 standard deviations), too.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import show

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.judge_cells import judge_cells, judge_parents
from metamodel.evaluation.drift.multiple_testing import named_cells

ZEROS = (0.0, 0.1, 0.3, 0.45, 0.6, 0.9)


def columns_of(rows: int, rng: np.random.Generator) -> DriftColumns:
    """Draw one column for each share of zeros."""
    return DriftColumns({f"{share:g}": rng.exponential(size=rows) * (rng.random(rows) >= share) for share in ZEROS})


def measure(groups: int, seed: int) -> Iterator[dict[str, Any]]:
    """Judge one window for each number of rows before and now; parents are all, tenths, and hundredths of them."""
    rng = np.random.default_rng(seed)
    parents = [(np.arange(groups) * number // groups, number) for number in (1, 10, 100)]
    for held in (26, 104):
        of_held = np.repeat(np.arange(groups), held)
        reference = build_reference(columns_of(len(of_held), rng), of_held, groups)
        for rows in (20, 30, 100):
            of_rows = np.repeat(np.arange(groups), rows)
            counts = count_rows(reference, columns_of(len(of_rows), rng), of_rows)
            cells, sums = judge_cells(reference, counts, parents)
            named = named_cells(cells.p_value, 0.05)[1] & cells.matters(0.1)
            levels = [judge_parents(reference, level) for level in sums]
            of_parents = [named_cells(level.p_value, 0.05)[1] for level in levels]
            told = [of & level.matters(0.1) for of, level in zip(of_parents, levels, strict=True)]
            for i, share in enumerate(ZEROS):
                yield {
                    "zeros": f"{share:.0%}",
                    "rows before, now": f"{held}, {rows}",
                    "p < 1e-3 / 1e-3": float((cells.p_value[:, i] < 1e-3).mean() / 1e-3),
                    "groups that alarm": int(named[:, i].sum()),
                    "parents named (of 1, 10, 100)": ", ".join(str(int(of[:, i].sum())) for of in of_parents),
                    "alarms": ", ".join(str(int(of[:, i].sum())) for of in told),
                }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    show(list(measure(given.groups, given.seed)), given.json)
