"""What gates find, and how often they cry wolf: planted faults, and the same recipe on other draws of the same rows.

    python benchmarks/gates.py gates                 # 100 runs, about three minutes
    python benchmarks/gates.py slices --runs 40      # half a minute

A/A: champion and candidate are trained by one recipe on two random draws of 80 % of the same weeks, and judged on the
weeks after them by all rules, the times among them. No fault is planted, so every gate that fails is a false alarm.
The six planted faults are tests: tests/integration/test_gate_faults.py.
slices: the same A/A without a margin, tested in 4 countries and 16 stores as if rows were independent; as if those of a
group were that do not follow one another; and with clusters of groups and moments, as gates do.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from planted import RULES, panel, train, weeks

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.evaluation.slice_regression import judged_slices, slice_regressions
from metamodel.lifecycle.gate_sides import GateRows, slice_codes

BUDGETED: dict[str, Any] = {**RULES, "budget": {"one_row_ms": "1.2x", "bundle_mb": "1.5x", "open_ms": "1.5x"}}


def same_recipe(runs: int) -> dict[str, Any]:
    """Judge candidates that have no fault."""
    failures: Counter[str] = Counter()
    passed = 0
    for run in range(runs):
        table, random = panel(16, 5, seed=run), np.random.default_rng(run)
        with tempfile.TemporaryDirectory() as directory:
            champion, candidate = (
                train(weeks(table, 0, 100).sample(frac=0.8, random_state=random), Path(directory) / side)
                for side in ("champion", "candidate")
            )
            report = metamodel.gate(candidate, weeks(table, 100, 120), champion, BUDGETED)
        passed += report.passed
        failures.update(f"{check.rule}: {check.check}" for check in report.failed)
    told = ", ".join(f"{name} {number}" for name, number in failures.most_common()) or "-"
    goal = "yes" if passed >= 0.95 * runs else "no"
    return {
        "figure": f"A/A gates passed of {runs}",
        "goal": ">= 95 %",
        "measured": passed,
        "reached": goal,
        "failed": told,
    }


def slices(runs: int) -> list[dict[str, Any]]:
    """Count A/A runs in which a slice is called worse, by what counts as independent."""
    flagged: Counter[str] = Counter()
    ways = ("rows", "blocks in time", "blocks, groups and moments")
    for run in range(runs):
        table, random = panel(16, 5, seed=500 + run), np.random.default_rng(run)
        fresh = weeks(table, 100, 120)
        with tempfile.TemporaryDirectory() as directory:
            models = [
                MetaModel(train(weeks(table, 0, 100).sample(frac=0.8, random_state=random), Path(directory) / side))
                for side in ("champion", "candidate")
            ]
            old, new = (np.abs(model.predict(fresh)["prediction"] - fresh["units"]).to_numpy() for model in models)
            clusters = GateRows(fresh, models[0]).clusters
        kinds = dict(zip(ways, ([np.arange(len(fresh))], clusters[:1], clusters), strict=True))
        for way, numbers in kinds.items():
            codes = [slice_codes(fresh, columns)[0] for columns in (["country"], ["country", "store"])]
            judged = judged_slices(pd.concat([slice_regressions(new, old, c, numbers, 0.0) for c in codes]), 0.0, 0.95)
            flagged[way] += bool(judged["worse"].any())
    return [{"independent": way, "runs": runs, "with a worse slice": flagged[way]} for way in ways]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("gates", "slices"), nargs="?", default="gates")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    show([same_recipe(given.runs)] if given.what == "gates" else slices(given.runs), given.output)


if __name__ == "__main__":
    main()
