"""What gates find, and how often they cry wolf: planted faults, and the same recipe on other draws of the same rows.

    python benchmarks/gates.py                 # 100 runs, about five minutes
    python benchmarks/gates.py --runs 20

A/A: champion and candidate are trained by one recipe on two random draws of 80 % of the same weeks, and judged on the
weeks after them by all rules, the times among them. No fault is planted, so every gate that fails is a false alarm.
The six planted faults are tests: tests/integration/test_gate_faults.py.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from measuring import show

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from planted import RULES, panel, train, weeks

import metamodel

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    show([same_recipe(given.runs)], given.output)


if __name__ == "__main__":
    main()
