"""What opening a model costs, whatever the number of its groups: time and memory, each in a process of its own.

    python benchmarks/opening.py --families ridge,neighbors --groups 50,50000

The peer is a pyfunc's way: one pickled dict of all children, loaded when the model is loaded. Ridge children are
stacked, nearest neighbours are not. Memory is what the process holds more than before (Linux: its resident pages, those
of memory-mapped files included).
"""

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import numbers, show
from predict import WORK
from workloads import DISTINCT, Workload, workload

_PREAMBLE = """
import os, sys, time, pickle
import pandas as pd
import sklearn.linear_model, sklearn.neighbors
from metamodel.bundle.model import MetaModel

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

frame = pd.read_parquet(sys.argv[2])
if len(sys.argv) > 3:
    MetaModel(sys.argv[3]).predict(frame)  # what is imported at the first use is not this model's
"""
_OPEN = """
before, started = resident(), time.perf_counter()
model = MetaModel(sys.argv[1])
opened, held = time.perf_counter(), resident()
model.predict(frame)
print((opened - started) * 1e3, held - before, (time.perf_counter() - opened) * 1e3, resident() - before)
"""
_LOAD = """
before, started = resident(), time.perf_counter()
with open(sys.argv[1], "rb") as file:
    children = pickle.load(file)
opened, held = time.perf_counter(), resident()
children[frame["store"].iloc[0]].predict(frame[[c for c in frame if c != "store"]].to_numpy())
print((opened - started) * 1e3, held - before, (time.perf_counter() - opened) * 1e3, resident() - before)
"""
FIGURES = ("open ms", "open MB", "first row ms", "open and first row MB")


def measured(program: str, *files: Path) -> dict[str, float]:
    """Run a program in a fresh process."""
    command = [sys.executable, "-c", _PREAMBLE + program, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(zip(FIGURES, map(float, done.stdout.split()), strict=True))


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    """Median of every figure."""
    return {name: statistics.median(one[name] for one in found) for name in FIGURES}


def measure(works: list[Workload], repeats: int, *, peer: bool) -> list[dict[str, Any]]:
    """Open models of one family that differ in the number of groups; they take turns."""
    with tempfile.TemporaryDirectory() as directory:
        row, pickled = Path(directory) / "row.parquet", Path(directory) / "children.pkl"
        works[0].frame.head(1).to_parquet(row)
        small = works[0].path
        programs: dict[str, tuple[str, Path]] = {f"{work.groups:,}": (_OPEN, work.path) for work in works}
        if peer:
            pickled.write_bytes(pickle.dumps(works[-1].children(works[-1].groups), protocol=5))
            programs[f"{works[-1].groups:,} in a dict"] = (_LOAD, pickled)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for _ in range(repeats):
            for name, (program, path) in programs.items():
                found[name].append(measured(program, path, row, small))
    first = medians(found[f"{works[0].groups:,}"])
    rows = []
    for name, figures in found.items():
        middle = medians(figures)
        ratio = {"open / first": middle["open ms"] / first["open ms"]}
        more = {"MB more": middle["open and first row MB"] - first["open and first row MB"]}
        rows.append({"family": works[0].family, "children": name, **middle, **ratio, **more})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=lambda text: text.split(","), default=["ridge", "neighbors"])
    parser.add_argument("--groups", type=numbers, default=[50, 50_000])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-peer", action="store_true", help="leave the dict of all children out")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for family in options.families:
        works = [
            workload(family, groups, 100, "uniform", 30, options.work, distinct=DISTINCT) for groups in options.groups
        ]
        rows += measure(works, options.repeats, peer=not options.no_peer)
    show(rows, options.json)


if __name__ == "__main__":
    main()
