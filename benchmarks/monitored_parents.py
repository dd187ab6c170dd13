"""Parents compared by sums over their groups, or with a reference of their own: what either finds.

    python benchmarks/monitored_parents.py

Each of 100 parents has 20 groups whose levels differ by 3 standard deviations of a group's rows, as shops of a country
do. 104 rows of each group are the reference, a window has 30. Of four worlds: nothing changes; all groups of a tenth of
the parents move by 0.5 or 0.3 standard deviations; one group in every parent grows to ten times its rows, and no row
becomes another one.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measuring import show

from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.count_rows import count_rows
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.judge_cells import judge_cells, judge_parents
from metamodel.evaluation.drift.multiple_testing import named_cells

PARENTS, GROUPS, TRAINED, ROWS = 100, 20, 104, 30

# World → move of the groups under a changed parent, and rows of the one group that grows.
WORLDS = {"nothing": (0.0, ROWS), "+0.5 sd": (0.5, ROWS), "+0.3 sd": (0.3, ROWS), "one group × 10": (0.0, 10 * ROWS)}


def measure(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Alarms of both ways at a false discovery rate of 5 %."""
    move, grown = WORLDS[name]
    n = PARENTS * GROUPS
    parent = np.repeat(np.arange(PARENTS), GROUPS)
    level = 3 * rng.normal(size=n)
    before = np.repeat(np.arange(n), TRAINED)
    sizes = np.where(np.arange(n) % GROUPS == 0, grown, ROWS)
    now = np.repeat(np.arange(n), sizes)
    changed = np.arange(PARENTS) < PARENTS // 10
    old = DriftColumns({"x": level[before] + rng.normal(size=len(before))})
    new = DriftColumns({"x": level[now] + rng.normal(size=len(now)) + move * changed[parent[now]]})

    of_groups = build_reference(old, before, n)
    _, (sums,) = judge_cells(of_groups, count_rows(of_groups, new, now), [(parent, PARENTS)])
    summed = judge_parents(of_groups, sums)
    of_parents = build_reference(old, parent[before], PARENTS)
    own, _ = judge_cells(of_parents, count_rows(of_parents, new, parent[now]))
    row: dict[str, Any] = {"world": name}
    for way, cells in (("sums of groups", summed), ("own reference", own)):
        alarms = named_cells(cells.p_value, 0.05)[0]
        row[f"{way}: found"] = f"{alarms[changed].sum()} of {changed.sum()}" if move else "-"
        row[f"{way}: false"] = (
            f"{alarms[~changed].sum() if move else alarms.sum()} of {PARENTS - changed.sum() * bool(move)}"
        )
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    show([measure(name, rng) for name in WORLDS], args.json)


if __name__ == "__main__":
    main()
