"""What the reference for monitoring costs a training, of processor time and of bytes.

    python benchmarks/reference_cost.py --groups 20000 --rows 30 --features 10
    python benchmarks/reference_cost.py --groups 50000 --rows 40 --features 20
    python benchmarks/reference_cost.py --groups 20000 --rows 40 --features 10 --weeks

Linear children, whose fits cost least, in one process. The time of recording is measured inside the training, so that
what neighbours do to a whole training does not hide it; `--weeks` gives the rows an order in time, whose windows are
replayed.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show

import metamodel
from metamodel.training import assemble


def table(groups: int, rows: int, features: int) -> pd.DataFrame:
    """Normal features of groups that each have a law of their own."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(groups * rows, features))
    group = np.repeat(np.arange(groups), rows)
    y = (x * rng.normal(size=(groups, features))[group]).sum(axis=1) + rng.normal(size=len(x))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(features)])
    return frame.assign(group=group, week=np.tile(np.arange(rows), groups), y=y)


def measure(frame: pd.DataFrame, options: dict[str, Any], *, reference: bool) -> tuple[float, float, int]:
    """Processor seconds of a training, and of recording in it, and bytes of the reference."""
    spent = 0.0
    record = assemble.record_reference

    def timed(*args: Any) -> None:
        nonlocal spent
        started = time.process_time()
        record(*args[:-1])  # without the other thread, so that writing counts
        spent += time.process_time() - started

    assemble.record_reference = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            result = metamodel.train(
                frame, "group", "y", "ridge", n_jobs=1, reference=reference, output_dir=Path(folder) / "b", **options
            )
            whole = time.process_time() - started
    finally:
        assemble.record_reference = record
    return whole, spent, int(result.summary.get("reference_bytes", 0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--weeks", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    frame = table(args.groups, args.rows, args.features)
    options = {"features": [f"x{i}" for i in range(args.features)], "time_column": "week" if args.weeks else None}
    measure(frame.iloc[: args.rows * 20], options, reference=True)  # imports
    runs = [
        (measure(frame, options, reference=True), measure(frame, options, reference=False)) for _ in range(args.repeats)
    ]
    recorded = float(np.median([with_it[1] for with_it, _ in runs]))
    without = float(np.median([plain[0] for _, plain in runs]))
    row = {"groups": args.groups, "rows": args.rows, "features": args.features, "without s": without}
    row |= {"recording s": recorded, "goal": "<= 15 %", "recording / without": recorded / without}
    row |= {"us/group": recorded / args.groups * 1e6, "MB": runs[0][0][2] / 2**20}
    show([row], args.json)


if __name__ == "__main__":
    main()
