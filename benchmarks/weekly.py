"""Whether a year of weekly updates is the same wherever it runs, and what a contest does where nothing has changed.

    python benchmarks/weekly.py generations --weeks 12
    python benchmarks/weekly.py same --groups 5000 --fresh 0 1 4 12
    python benchmarks/weekly.py level --groups 20000

`generations` trains on the sample panel (100 groups and the broken ones), and updates it week by week: with one
process, with two, and on Spark. It counts the cells in which the ledgers differ, times, files and stacks aside.
`same` is an A/A test: ridge regressions of groups that do not change, all retrained by the same recipe, on the very
same rows and on more of them. It counts who is replaced, and sets the new version's error on 52 later rows a group,
which nobody has seen, beside that of the old one. A child of more rows is a little better, so the share whose new child
is significantly worse stands beside that of significantly better ones: a test of the right size has 5 % of each where
nothing differs. `level` draws many more such groups, without bundles, and has the same test judge them: as they are,
and against a child of as many other rows, which is no better.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import show

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import AnyArray
from metamodel.datasets import make_store_sales
from metamodel.evaluation.significance import paired_p_values
from metamodel.training.carrying.decisions import EVIDENCE

KEYS = ["store", "product"]

_MEASURED = ["seconds", "trained_at", "shard", "stack"]

_WEEKS_BEFORE, _LATER = 52, 52

_SIGNIFICANT = 0.05


def generations(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the ledgers of all generations, row for row."""
    weeks = make_store_sales(n_weeks=_WEEKS_BEFORE + args.weeks)
    points = sorted(weeks["week"].unique())
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(args.weeks):
            rows = weeks[weeks["week"] <= points[_WEEKS_BEFORE + number]]
            # Each generation a store more is open, and one closes.
            rows = rows[(rows["store"] <= 8 + number) & ((rows["store"] != 3) | (number < 4))]
            paths.append(Path(folder) / f"{number}.parquet")
            rows.to_parquet(paths[-1], index=False, coerce_timestamps="us", allow_truncated_timestamps=True)
        first, results = None, []
        for name, options, read in _ways(Path(folder)):
            started = time.perf_counter()
            ledgers = list(_year(paths, read, options))
            seconds = time.perf_counter() - started
            first = first or ledgers
            differing = sum(map(_differing, first, ledgers))
            fitted = sum(int((ledger["status"] == "fitted").sum()) for ledger in ledgers)
            rows = sum(map(len, ledgers))
            results.append({"engine": name, "rows": rows, "fitted": fitted, "differ": differing, "seconds": seconds})
    return results


def _ways(folder: Path) -> Iterator[tuple[str, dict[str, Any], Callable[[Path], Any]]]:
    yield "one process", {"n_jobs": 1}, str
    yield "two processes", {"n_jobs": 2}, str
    from spark import session

    started = session(folder)
    yield "Spark, local[2]", {"n_jobs": 2, "engine": "spark"}, lambda path: started.read.parquet(str(path))
    started.stop()


def _year(paths: list[Path], read: Callable[[Path], Any], options: dict[str, Any]) -> Iterator[pd.DataFrame]:
    given = {"features": ["price", "promotion"], "time_column": "week", "unknown": "fallback", "interval": 0.9}
    given |= {"pooled": False}
    result = metamodel.train(read(paths[0]), KEYS, "units", ["ridge", "decision_tree"], **given, **options)
    versions = {MetaModel(result.bundle_path).bundle.digest[:12]: "0"}
    yield result.ledger
    for number, path in enumerate(paths[1:], 1):
        result = metamodel.update(result.bundle_path, read(path), max_age="3w", keep_missing="3w")
        versions[MetaModel(result.bundle_path).bundle.digest[:12]] = str(number)
        yield result.ledger.replace({"trained_version": versions})


def _differing(one: pd.DataFrame, other: pd.DataFrame) -> int:
    """Count the cells that differ; floats by more than 1e-9 of themselves."""
    if one.shape != other.shape or list(one.columns) != list(other.columns):
        return max(one.size, other.size)
    count = 0
    for name in one.columns.difference(_MEASURED):
        if pd.api.types.is_float_dtype(one[name].dtype):
            same = np.isclose(one[name].astype(float), other[name].astype(float), rtol=1e-9, atol=0, equal_nan=True)
        else:
            left, right = (ledger[name].astype(object) for ledger in (one, other))
            same = ((left == right) | (left.isna() & right.isna())).to_numpy(dtype=bool)
        count += int((~same).sum())
    return count


def same(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Retrain everybody where nothing has changed."""
    most = _WEEKS_BEFORE + max(args.fresh) + _LATER
    table = _panel(args.groups, most)
    later = table[table["week"] >= most - _LATER]
    old = metamodel.train(table[table["week"] < _WEEKS_BEFORE], "group", "y", "ridge", time_column="week", n_jobs=1)
    before = _errors(old, later)
    results = []
    for fresh in args.fresh:
        for evidence in args.evidence:
            known = table[table["week"] < _WEEKS_BEFORE + fresh]
            new = metamodel.update(old.bundle_path, known, retrain="all", evidence=evidence, n_jobs=1)
            decisions = new.ledger["decision"]
            after = _errors(new, later)
            p_values = new.ledger["p_value_incumbent"].to_numpy()
            results.append(
                {
                    "fresh_rows": fresh,
                    "evidence": evidence,
                    "replaced": float((decisions == "replaced").mean()),
                    "better": float((p_values < _SIGNIFICANT).mean()),
                    "worse": float((p_values > 1 - _SIGNIFICANT).mean()),
                    "no fresh rows": float((decisions == "no_fresh_rows").mean()),
                    "error of old": before,
                    "error of new": after,
                    "change": f"{after / before - 1:+.2%}",
                }
            )
            print(results[-1], file=sys.stderr)  # the whole takes long
    return results


def level(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Count how often the test of `own` finds a new child better, and worse, where nothing has changed."""
    rng = np.random.default_rng(0)
    results = []
    for fresh in [number for number in args.fresh if number]:
        x = rng.normal(size=(args.groups, 2 * _WEEKS_BEFORE + fresh, 4))
        y = (x * rng.normal(size=(args.groups, 1, 4))).sum(axis=2) + rng.normal(size=x.shape[:2])
        then, other = np.arange(_WEEKS_BEFORE), np.arange(_WEEKS_BEFORE, 2 * _WEEKS_BEFORE)
        blocks = np.array_split(np.arange(2 * _WEEKS_BEFORE, x.shape[1]), min(4, fresh))
        old = np.hstack([_ridge_losses(x, y, then, block) for block in blocks])
        growing = [np.append(then, np.arange(blocks[0][0], block[0])) for block in blocks]
        sides = {
            "more rows": [_ridge_losses(x, y, seen, block) for seen, block in zip(growing, blocks, strict=True)],
            "other rows": [_ridge_losses(x, y, other, block) for block in blocks],
        }
        for name, losses in sides.items():
            gains = old - np.hstack(losses)
            groups = np.repeat(np.arange(args.groups), fresh)
            two_sided = paired_p_values(gains.ravel(), groups, args.groups, exact=False)
            p_values = np.where(gains.mean(axis=1) > 0, two_sided / 2, 1 - two_sided / 2)
            better, worse = p_values < _SIGNIFICANT, p_values > 1 - _SIGNIFICANT
            figures = {"better": float(better.mean()), "worse": float(worse.mean()), "gain": gains.mean() / old.mean()}
            results.append({"fresh_rows": fresh, "new child of": name, **figures})
    return results


def _ridge_losses(x: AnyArray, y: AnyArray, seen: AnyArray, asked: AnyArray) -> AnyArray:
    """Fit Ridge() to some rows of every group, and square its errors on others; shape (n_groups, n_asked)."""
    mean_x, mean_y = x[:, seen].mean(axis=1, keepdims=True), y[:, seen].mean(axis=1, keepdims=True)
    centred = x[:, seen] - mean_x
    across = centred.transpose(0, 2, 1)
    coef = np.linalg.solve(across @ centred + np.eye(x.shape[2]), across @ (y[:, seen] - mean_y)[:, :, None])
    errors: AnyArray = y[:, asked] - mean_y - ((x[:, asked] - mean_x) @ coef)[:, :, 0]
    return errors**2


def _panel(groups: int, weeks: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    group, week = np.repeat(np.arange(groups), weeks), np.tile(np.arange(weeks), groups)
    x = rng.normal(size=(len(group), 4))
    y = (x * rng.normal(size=(groups, 4))[group]).sum(axis=1) + rng.normal(size=len(group))
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(4)]).assign(group=group, week=week, y=y)


def _errors(result: metamodel.TrainingResult, rows: pd.DataFrame) -> float:
    """Mean absolute error on some rows."""
    answers = MetaModel(result.bundle_path).predict(rows.drop(columns="y"))["prediction"]
    return float(np.abs(answers.to_numpy() - rows["y"].to_numpy()).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["generations", "same", "level"])
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--groups", type=int, default=5000)
    parser.add_argument("--fresh", type=int, nargs="+", default=[0, 1, 4, 12])
    parser.add_argument("--evidence", nargs="+", choices=EVIDENCE, default=list(EVIDENCE))
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    show({"generations": generations, "same": same, "level": level}[args.what](args), args.output)


if __name__ == "__main__":
    main()
