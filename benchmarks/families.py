"""What training does for a group beside fitting it, where the fits are forests or boosting of 100 trees.

    python benchmarks/families.py                                  # four families, 30, 100 and 300 rows a group
    python benchmarks/families.py --families forest --rows 300 --profile 25

Processor time of a whole training in this process (checks, judging on a holdout, metrics, importances, digests,
serializing, stacks, ledger), less two fits of the estimator alone for each group, over those fits. The sides take
turns. `--profile N` samples where the training's own time goes: the N functions in which most samples were taken,
callees included.
"""

import argparse
import collections
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from measuring import numbers, show
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from workloads import KEY, NUMBERS, training_table

import metamodel

TREES = 100

# Seconds of processor time between two samples of a profile.
_INTERVAL = 0.004


def _xgboost() -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=TREES, n_jobs=1)


def _lightgbm() -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(n_estimators=TREES, n_jobs=1, min_child_samples=3, verbose=-1)


FAMILIES: dict[str, Callable[[], Any]] = {
    "hist_gradient_boosting": lambda: HistGradientBoostingRegressor(max_iter=TREES, min_samples_leaf=3),
    "forest": lambda: RandomForestRegressor(n_estimators=TREES, n_jobs=1, random_state=0),
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
}


def measure(family: str, rows: int, options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Both sides of one family at one number of rows a group, in turns."""
    make = FAMILIES[family]
    table = training_table("ridge", options.groups, rows)
    inputs = [(part[NUMBERS].to_numpy(), part["y"].to_numpy()) for _, part in table.groupby(KEY)]

    def fits() -> None:
        for x, y in inputs:
            train_rows = len(x) * 4 // 5
            make().fit(x[:train_rows], y[:train_rows])
            make().fit(x, y)

    def train() -> None:
        metamodel.train(table, KEY, "y", make(), n_jobs=1, output_dir=directory / "bundle")

    metamodel.train(training_table("ridge", 2, rows), KEY, "y", make(), n_jobs=1, output_dir=directory / "first")
    turns = [(_processor_seconds(fits), _processor_seconds(train)) for _ in range(options.repeats)]
    ratios = [trained / fitted - 1 for fitted, trained in turns]
    fitted = statistics.median(fitted for fitted, _ in turns)
    row = {"family": family, "rows": rows, "groups": options.groups, "two fits ms": fitted / options.groups * 1e3}
    if options.profile:
        with _samples() as found:
            train()
        _tell(found, options.profile)
    return {**row, "beside / fits": statistics.median(ratios)}


def _processor_seconds(call: Callable[[], None]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


@contextmanager
def _samples() -> Iterator[collections.Counter[str]]:
    """Count the functions that are under way at regular times of the processor; "" counts the samples."""
    found: collections.Counter[str] = collections.Counter()

    def sample(number: int, frame: FrameType | None) -> None:
        found[""] += 1
        names = set()
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if "metamodel" in path.parts or frame.f_code.co_name in ("fit", "predict"):
                names.add(f"{path.parent.name}/{path.name}:{frame.f_code.co_name}")
            frame = frame.f_back
        found.update(names)

    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _tell(found: collections.Counter[str], most: int) -> None:
    samples = found.pop("")
    for name, count in found.most_common(most):
        print(f"{count / samples:6.1%}  {name}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--rows", default="30,100,300")
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", type=int, default=0, metavar="N")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        cells = [(family, rows) for family in options.families.split(",") for rows in numbers(options.rows)]
        show([measure(family, rows, options, Path(directory)) for family, rows in cells], options.json)


if __name__ == "__main__":
    main()
