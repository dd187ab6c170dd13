"""Linear children that are fitted many at a time: against a loop of fits, against the old way, and how it grows.

    python benchmarks/array_fits.py loop --groups 20000      # one plain Ridge().fit for each group
    python benchmarks/array_fits.py logged --groups 50000    # trained, logged, registered: as arrays and one by one
    python benchmarks/array_fits.py lego --groups 8000       # scikit-lego's GroupedPredictor: fit, and predict
    python benchmarks/array_fits.py grow --groups 10000,100000,1000000

`loop`: a whole training with a holdout, ledger, stacks and bundle, against nothing but the fits. `logged`: to a real
`mlflow server` on this machine. `lego`: the peer is measured on `--peer-groups` groups and scaled by their number,
which flatters it, because what it costs a group grows with their number. `grow`: 5 rows of 3 features a group, each
number of groups in a process of its own, with the most memory that it and its workers took at once (a page that they
share counts once).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import CLOCKS, median_seconds, megabytes, numbers, show
from sklearn.linear_model import LinearRegression, Ridge
from workloads import KEY, NUMBERS, names, training_table

import metamodel
from metamodel.training.engines import array_groups

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from servers import tracking_server  # the tests' real servers, on free ports of 127.0.0.1

Row = dict[str, Any]

# Of the loops over groups this many are measured, and scaled by their number.
_LOOPED = 4000


@contextmanager
def one_by_one() -> Iterator[None]:
    """Let scikit-learn fit every group, in this process and in workers that begin inside."""
    known_program = array_groups.program_of
    array_groups.program_of = lambda spec: None
    try:
        yield
    finally:
        array_groups.program_of = known_program


def loop(options: argparse.Namespace, directory: Path) -> list[Row]:
    """Train, against one plain fit for each group."""
    (groups,) = options.groups
    table = training_table("ridge", groups, 30)
    x, y = table[NUMBERS].to_numpy(), table["y"].to_numpy()
    looped = min(groups, _LOOPED)

    def fits() -> None:
        for start in range(0, 30 * looped, 30):
            Ridge().fit(x[start : start + 30], y[start : start + 30])

    sides = {"train": _training(table, directory, options.n_jobs), "loop": fits}
    seconds = median_seconds(sides, options.repeats, options.clock)
    looping = seconds["loop"] / looped
    row = {"groups": groups, "train us/group": seconds["train"] / groups * 1e6, "one fit us": looping * 1e6}
    return [{**row, "train / loop": seconds["train"] / groups / looping}]


def logged(options: argparse.Namespace, directory: Path) -> list[Row]:
    """Train, log and register: groups as arrays, and one by one (in one process, where arrays can be left out)."""
    import mlflow

    (groups,) = options.groups
    table = training_table("ridge", groups, 30)
    rows = []
    with tracking_server(directory, workers=2) as server:
        mlflow.set_tracking_uri(server.url)
        for way in ("warm-up", "arrays", "one by one"):
            part = table.iloc[: 30 * 50] if way == "warm-up" else table
            started = time.perf_counter()
            if way == "one by one":
                with one_by_one():
                    result = _training(part, directory, 1)()
            else:
                result = _training(part, directory, options.n_jobs)()
            trained = time.perf_counter()
            metamodel.log_model(result, registered_model_name="benchmark")
            done = time.perf_counter()
            row = {"way": way, "groups": groups, "train s": trained - started, "log and register s": done - trained}
            rows.append({**row, "s": done - started})
    return rows[1:]


def lego(options: argparse.Namespace, directory: Path) -> list[Row]:
    """Fit and predict LinearRegression on 20 rows of each group, against GroupedPredictor."""
    from sklego.meta import GroupedPredictor

    (groups,) = options.groups
    table = training_table("ridge", groups, 20)
    peers = min(groups, options.peer_groups)
    part = table.iloc[: 20 * peers]
    inputs = part[[KEY, *NUMBERS]]
    predictor = GroupedPredictor(LinearRegression(), groups=[KEY], use_global_model=False)
    train = _training(table, directory, options.n_jobs, LinearRegression())
    train()
    model = metamodel.load_model(directory / "bundle")
    predictor.fit(inputs, part["y"])
    sides = {
        "fit": train,
        "peer fit": lambda: predictor.fit(inputs, part["y"]),
        "predict": lambda: model.predict(table),
        "peer predict": lambda: predictor.predict(inputs),
    }
    seconds = median_seconds(sides, options.repeats, options.clock)
    row: Row = {"groups": groups, "peer groups": peers}
    for what in ("fit", "predict"):
        peer = seconds[f"peer {what}"] * groups / peers
        row |= {f"{what} s": seconds[what], f"peer {what} s": peer, f"peer / ours, {what}": peer / seconds[what]}
    return [row]


def grow(options: argparse.Namespace, directory: Path) -> list[Row]:
    """Train and log more and more groups of 5 rows and 3 features."""
    rows = []
    for groups in options.groups:
        command = [sys.executable, __file__, "one-size", "--groups", str(groups), "--n-jobs", str(options.n_jobs)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
            most = _most_memory(child)
            printed = child.stdout.read() if child.stdout else ""
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}.")
        rows.append({**json.loads(printed.splitlines()[-1]), "GB": most / 1024})
    return rows


def _most_memory(leader: subprocess.Popen[str]) -> float:
    most = 0.0
    while leader.poll() is None:
        most = max(most, megabytes(leader.pid))
        with suppress(subprocess.TimeoutExpired):
            leader.wait(0.5)
    return most


def one_size(options: argparse.Namespace, directory: Path) -> list[Row]:
    """Train and log one number of groups, in this process; prints one line of JSON."""
    import mlflow

    (groups,) = options.groups
    rng = np.random.default_rng(0)
    columns = [f"x{i}" for i in range(3)]
    table = pd.DataFrame(rng.normal(size=(5 * groups, 3)), columns=columns)
    table["y"] = table.sum(axis=1) + rng.normal(size=len(table))
    table[KEY] = np.repeat(np.array(names(groups), dtype=object), 5)
    mlflow.set_tracking_uri(f"sqlite:///{directory / 'mlflow.db'}")
    started = time.perf_counter()
    result = _training(table, directory, options.n_jobs)()
    trained = time.perf_counter()
    with mlflow.start_run():
        metamodel.log_model(result, report=False)
    done = time.perf_counter()
    row = {"groups": groups, "train s": trained - started, "log s": done - trained}
    print(json.dumps({**row, "us/group": (done - started) / groups * 1e6}))
    return []


def _training(
    table: pd.DataFrame, directory: Path, n_jobs: int, estimator: Any | None = None
) -> Callable[[], metamodel.TrainingResult]:
    return lambda: metamodel.train(
        table, KEY, "y", estimator or Ridge(), n_jobs=n_jobs, output_dir=directory / "bundle"
    )


MEASURED = {"loop": loop, "logged": logged, "lego": lego, "grow": grow, "one-size": one_size}

GROUPS = {"loop": "20000", "logged": "50000", "lego": "8000", "grow": "10000,100000", "one-size": "10000"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(MEASURED))
    parser.add_argument("--groups", default=None, help=f"by default {GROUPS}")
    parser.add_argument("--peer-groups", type=int, default=2000)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: of this process alone")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    options.groups = numbers(options.groups or GROUPS[options.what])
    with tempfile.TemporaryDirectory() as directory:
        if rows := MEASURED[options.what](options, Path(directory)):
            show(rows, options.json)


if __name__ == "__main__":
    main()
