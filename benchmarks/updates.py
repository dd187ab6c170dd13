"""What an update costs beside a full training, what it leaves as it was, and which evidence lets the right child win.

    python benchmarks/updates.py carry --groups 50000 --retrained 1000 --estimator ridge
    python benchmarks/updates.py contest
    python benchmarks/updates.py judged --groups 1000

`carry` trains and updates by a list of groups, in turn, and compares: medians of the time (the processor's too, for
busy machines), and the sha256 of what is carried. `contest` draws the losses of 5,000 groups, of which 5 % really
changed, and says which share of an oracle's gain each evidence takes: its own rows and those of all groups (pooled), a
test of each group (own), all but the significantly worse (worse), and replacing always; and again where 5 % of the new
children are worse by a standard deviation of the noise. `judged` retrains all groups against the children that they
have, on four more rows each: as arrays, and one by one.
"""

import argparse
import hashlib
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from measuring import show
from scipy import special

import metamodel
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.model import MetaModel
from metamodel.bundle.shard_reader import open_shards
from metamodel.evaluation.pooled_selection import Contest
from metamodel.evaluation.predictions import Predictions
from metamodel.evaluation.significance import paired_p_values
from metamodel.training.carrying.decisions import EVIDENCE, Contests
from metamodel.training.engines import array_groups


def table(groups: int, rows: int, features: int) -> pd.DataFrame:
    """Draw groups with a line each."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=(len(group), features))
    y = (x * rng.normal(size=(groups, features))[group]).sum(axis=1) + rng.normal(size=len(group))
    names = [f"x{i}" for i in range(features)]
    return pd.DataFrame(x, columns=names).assign(group=group, y=y)


def digests(model: MetaModel, keys: set[str]) -> dict[str, str]:
    """Digest what is carried: children's bytes, group values, rows of stacks."""
    shards = open_shards(model.bundle.path, model.manifest.files, "shards")
    children = sorted((key, row.sha256) for shard in shards for key, row in shard.scan() if key in keys and row)
    parts: dict[str, Any] = {"children": repr(children).encode(), "stack rows": b"", "group values": b""}
    order = sorted(keys)
    for stack in model.bundle.stacks:
        kept = stack.only(keys)
        if kept is not None:
            places = np.argsort(np.array(kept.keys))
            program = kept.program.take(places)
            parts["stack rows"] += b"".join(values.tobytes() for _, values in sorted(program.arrays.items()))
    if (values := model.bundle.group_values) is not None:
        parts["group values"] = values.of_encoded(order).tobytes()
    return {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}


def carry(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Train all groups and update some of them in turn, and compare what came of it."""
    frame = table(args.groups, args.rows, args.features)
    options = {"estimator": args.estimator, "estimator_params": {"n_estimators": 50} if args.forest else None}
    listed = pd.DataFrame({"group": np.linspace(0, args.groups - 1, args.retrained).astype(int)})
    seconds: dict[str, list[float]] = {"full": [], "full_cpu": [], "update": [], "update_cpu": []}
    for _ in range(args.repeats):
        with timed(seconds, "full"):
            full = metamodel.train(frame, "group", "y", interval=0.8, n_jobs=2, **options)
        with timed(seconds, "update"):
            new = metamodel.update(full.bundle_path, frame, retrain_list=listed)
    old_model, new_model = (MetaModel(one.bundle_path) for one in (full, new))
    carried = new.ledger[new.ledger["status"] == "carried"]
    keys = {f"[{group}]" for group in carried["group"]}
    same = digests(old_model, keys) == digests(new_model, keys)
    rows = frame[frame["group"].isin(carried["group"])].iloc[:200_000]
    answers = old_model.predict(rows).equals(new_model.predict(rows))
    medians = {f"{name}_s": statistics.median(times) for name, times in seconds.items()}
    return [
        {
            "groups": args.groups,
            "retrained": args.retrained,
            **medians,
            "limit_s": args.limit * medians["full_s"] + 2,
            "carried": len(keys),
            "same_sha256": int(same),
            "same_answers": int(answers),
        }
    ]


def judged(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Set contests as arrays beside those of single fits, in this process."""
    frame = table(args.groups, args.rows + 4, args.features)
    before = frame[frame.groupby("group").cumcount() < args.rows]
    full = metamodel.train(before, "group", "y", args.estimator, n_jobs=1)
    seconds: dict[str, list[float]] = {"arrays": [], "arrays_cpu": [], "single": [], "single_cpu": []}
    ledgers = {}
    for _ in range(args.repeats):
        for way in ("arrays", "single"):
            program = array_groups.program_of if way == "arrays" else lambda spec: None
            with timed(seconds, way), patch.object(array_groups, "program_of", program):
                ledgers[way] = metamodel.update(full.bundle_path, frame, retrain="all", n_jobs=1).ledger
    compared = ["sha256", "fresh_rows", "gain", "gain_se", "p_value_incumbent", "decision"]
    same = ledgers["arrays"][compared].equals(ledgers["single"][compared])
    medians = {f"{name}_s": statistics.median(times) for name, times in seconds.items()}
    judged_groups = int((ledgers["arrays"]["fresh_rows"] > 0).sum())
    return [{"groups": args.groups, "judged": judged_groups, **medians, "same": int(same)}]


@contextmanager
def timed(seconds: dict[str, list[float]], name: str) -> Iterator[None]:
    """Take the time by the clock and of the processor; worker processes, which outlive the call, count too."""
    started, busy = time.perf_counter(), processor_seconds()
    yield
    seconds[name].append(time.perf_counter() - started)
    seconds[f"{name}_cpu"].append(processor_seconds() - busy)


def processor_seconds() -> float:
    """Processor's time of this process and of all that it started, whether they live or not; on Linux alone."""
    pids, total = [os.getpid()], 0
    for pid in pids:  # grows while it is walked
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
            for thread in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (thread / "children").read_text().split())
    return total / os.sysconf("SC_CLK_TCK")


def contest(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Draw losses, decide, and count what the right choice is worth."""
    results = []
    for broken in (False, True):
        for fresh in (1, 4, 12, 52):
            rows, true = losses(args.groups, fresh, broken)
            oracle = np.maximum(true, 0).sum()
            row: dict[str, Any] = {"fresh_rows": fresh, "broken": int(broken), "always": true.sum() / oracle}
            for evidence in EVIDENCE:
                decided = Contests(evidence).decide(rows, {one.key for one in rows})
                replaced = np.array([decided[one.key].decision == "replaced" for one in rows])
                row[evidence] = true[replaced].sum() / oracle
            results.append(row)
    return results


def losses(groups: int, fresh: int, broken: bool) -> tuple[list[LedgerRow], np.ndarray]:
    """Draw both children's absolute errors on fresh rows; returns the contests and each group's true gain."""
    rng = np.random.default_rng(fresh + 100 * broken)
    shift = np.where(np.arange(groups) < groups * 0.05, 1.0, 0.0)  # the old child is off by one sd of the noise
    spoilt = np.where(np.arange(groups) >= groups * 0.95, 1.0, 0.0) if broken else np.zeros(groups)
    noise = rng.normal(size=(groups, fresh))
    refit = rng.normal(size=groups) * 0.1  # a new fit differs a little from the old one, in any group
    old, new = np.abs(noise + shift[:, None]), np.abs(noise + refit[:, None] + spoilt[:, None])
    true = mean_error(shift) - mean_error(refit + spoilt)
    rows = []
    for i in range(groups):
        answers = {
            name: Predictions(np.zeros(fresh), values[i], None, np.empty(0))
            for name, values in (("a", old), ("b", new))
        }
        judged = Contest.of(answers, "mae", "a")
        assert judged is not None
        gap, spread = judged.gain("a", "b")
        p = float(paired_p_values(old[i] - new[i], np.zeros(fresh, dtype=int), 1, exact=False)[0])
        facts = {
            "gain": gap,
            "gain_se": float(np.sqrt(spread / fresh)),
            "p_value_incumbent": p / 2 if gap > 0 else 1 - p / 2,
        }
        rows.append(LedgerRow(f"[{i}]", 1, "fitted", 100, fresh_rows=fresh, **facts))
    return rows, true


def mean_error(bias: np.ndarray) -> np.ndarray:
    """Mean of the absolute value of a normal number with this mean and sd 1."""
    return np.sqrt(2 / np.pi) * np.exp(-(bias**2) / 2) + bias * special.erf(bias / np.sqrt(2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["carry", "contest", "judged"])
    parser.add_argument("--groups", type=int, default=5000)
    parser.add_argument("--retrained", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--estimator", default="ridge")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    args.forest = "forest" in args.estimator
    args.limit = 0.1 if args.forest else 0.15
    show({"carry": carry, "contest": contest, "judged": judged}[args.what](args), args.output)


if __name__ == "__main__":
    main()
