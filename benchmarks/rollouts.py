"""What a roll-out splits, costs and finds.

    python benchmarks/rollouts.py split                         # 1,000,000 entities
    python benchmarks/rollouts.py overlay --groups 50000 --retrained 1000
    python benchmarks/rollouts.py compare --repeats 200
    python benchmarks/rollouts.py calibrate
    python benchmarks/rollouts.py few                           # few units, of four kinds of outcomes
    python benchmarks/rollouts.py interleave
    python benchmarks/rollouts.py shadow --rate 459 --seconds 60
    python benchmarks/rollouts.py faults

split: the share of the units beside its fraction, who moves when it grows, and the ratio check on a hash that is
broken. overlay: bytes over the champion's bundle, and opening, loading as a pyfunc and one row of both, in turns.
compare: A/A comparisons without a difference, and the same with a planted lift. calibrate: the test alone, 2,000
times without a difference. few: the same with few units, and with a lift of 30 %. shadow: three servers, one of them
with a log, and one with a challenger in the shadow and a log, meet the same requests at times fixed beforehand, in
turns. faults: one row while the challenger raises, hangs or is damaged.
"""

import argparse
import contextlib
import http.client
import json
import logging
import os
import tempfile
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from measuring import median_seconds, show
from scipy import stats
from serve import in_turns, median_ratios, percentiles, server
from updates import table

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.opening import open_model
from metamodel.bundle.rollout.rollout_files import write_rollout
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.evaluation.variant_effects import UNSOUND, effects_apart, sample_ratio_p
from metamodel.flavor.pyfunc_args import pyfunc_parts
from metamodel.prediction.rollout.assignment import in_challenger, unit_hashes
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.prediction.rollout.units import EntityColumn, entity_units

Rows = list[dict[str, Any]]

# These need no model.
ALONE = ("split", "compare", "calibrate", "few")


def split(args: argparse.Namespace) -> Rows:
    """Deal a million entities out by fractions."""
    n, rows = args.entities, []
    names = pd.Series([f"c-{i}" for i in range(n)])
    started = time.perf_counter()
    units = entity_units([EntityColumn("id")], {"id": names}, n)
    hashes = units.hashes("spring")[units.codes]
    seconds = time.perf_counter() - started
    for fraction, larger in ((0.01, 0.1), (0.1, 0.2), (0.5, 1.0)):
        chosen, more = (in_challenger(hashes, share) for share in (fraction, larger))
        sd = (fraction * (1 - fraction) / n) ** 0.5
        rows.append(
            {
                "fraction": fraction,
                "share": float(chosen.mean()),
                "sds off": float(abs(chosen.mean() - fraction) / sd),
                "moved back": int((chosen & ~more).sum()),
                "ratio p": sample_ratio_p([(int((~chosen).sum()), int(chosen.sum()), fraction)]),
                "entities/s": n / seconds,
            }
        )
    # One unit of a hundred too many, as by <= in the place of <.
    chosen = hashes % np.uint64(100) <= np.uint64(50)
    p = sample_ratio_p([(int((~chosen).sum()), int(chosen.sum()), 0.5)])
    return [*rows, {"fraction": 0.5, "share": float(chosen.mean()), "ratio p": p, "found broken": int(p < UNSOUND)}]


def two_models(args: argparse.Namespace, folder: Path) -> tuple[MetaModel, MetaModel, pd.DataFrame]:
    """Train all groups, and some of them again on rows that lie higher."""
    frame = table(args.groups, args.rows, args.features)
    options: dict[str, Any] = {"estimator": "ridge", "n_jobs": 2, "prune": False}
    full = metamodel.train(frame, "group", "y", interval=0.8, output_dir=folder / "champion", **options)
    listed = pd.DataFrame({"group": np.linspace(0, args.groups - 1, args.retrained).astype(int)})
    later = frame.assign(y=frame["y"] + 1.0)
    options = {"challenge": False, "output_dir": folder / "challenger"}  # all that are listed are to differ
    new = metamodel.update(full.bundle_path, later, retrain_list=listed, **options)
    return MetaModel(full.bundle_path), MetaModel(new.bundle_path), frame


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def saved(model: MetaModel, path: Path) -> Path:
    """Write an MLflow model, as users load it."""
    with pyfunc_parts(model, None) as parts:
        mlflow.pyfunc.save_model(path, **{**parts, "pip_requirements": ["mlflow"]})
    return path


def overlay(args: argparse.Namespace, folder: Path) -> Rows:
    """Roll out, and compare with the champion alone."""
    champion, challenger, frame = two_models(args, folder)
    place = folder / "rollout"
    plan = Rollout.of("customer", mode="ab", fraction=0.1, salt="s")
    started = time.perf_counter()
    differing = write_rollout(champion.bundle, challenger.bundle, plan, place)
    seconds = time.perf_counter() - started
    row = frame.head(1).assign(customer="c-1")
    opened, alone = open_model(place), open_model(champion.path)

    def warm(path: Path) -> Callable[[], Any]:
        return lambda: open_model(path).warm_up()

    def loaded(path: Path) -> Callable[[], Any]:
        return lambda: mlflow.pyfunc.load_model(str(path)).predict(row)

    pyfuncs = {"alone": saved(alone, folder / "pyfunc"), "rolled out": saved(opened, folder / "pyfunc-rollout")}
    times = {
        "open, of the processor,": median_seconds(
            {"alone": warm(champion.path), "rolled out": warm(place)}, args.repeats, "cpu"
        ),
        "load and first row": median_seconds({name: loaded(path) for name, path in pyfuncs.items()}, 50),
        "row": median_seconds({"alone": lambda: alone.predict(row), "rolled out": lambda: opened.predict(row)}, 500),
    }
    bytes_alone = size(champion.path)
    added = size(place) - bytes_alone
    return [
        {
            "groups": args.groups,
            "differing": differing,
            "champion MB": bytes_alone / 1e6,
            "added MB": added / 1e6,
            "added %": 100 * added / bytes_alone,
            "written in s": seconds,
            **{f"{what} ms {side}": 1e3 * found for what, sides in times.items() for side, found in sides.items()},
        }
    ]


def visits(seed: int, lift: float, entities: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw a log of an A/B test and revenue: customers differ, each comes one to five times."""
    rng = np.random.default_rng(seed)
    names = [f'["c-{i}"]' for i in range(entities)]
    chosen = in_challenger(unit_hashes(names, str(seed)), 0.5)
    customer = np.repeat(np.arange(entities), rng.integers(1, 6, entities))
    worth = rng.lognormal(3, 0.5, entities)
    revenue = worth[customer] * rng.lognormal(0, 0.3, len(customer)) * np.where(chosen[customer], 1 + lift, 1.0)
    log = pd.DataFrame({"row_id": np.arange(len(customer)), "key": "[1]", "entity_hash": customer})
    log = log.assign(variant=np.where(chosen[customer], "challenger", "champion"), prediction=1.0)
    return log, pd.DataFrame({"row_id": log["row_id"], "revenue": revenue, "region": rng.integers(0, 5, len(log))})


def compare(args: argparse.Namespace) -> Rows:
    """Compare many times without a difference, and with a lift of three percent."""
    rows = []
    for lift in (0.0, 0.03):
        found, void, inside, widths, slices = 0, 0, 0, [], 0
        started = time.perf_counter()
        for seed in range(args.repeats):
            log, labels = visits(seed, lift, args.units)
            result = metamodel.compare_variants(log, labels, outcome="revenue", fraction=0.5, slices=["region"])
            every = result.table[result.table["kind"] == "all"].iloc[0]
            found += result.verdict in ("better", "worse")
            void += not result.sound
            inside += every["lower"] <= lift <= every["upper"]
            widths.append(every["upper"] - every["lower"])
            of_slices = result.table[result.table["kind"] == "region"]
            slices += bool(of_slices["verdict"].isin(["better", "worse"]).any())
        seconds = (time.perf_counter() - started) / args.repeats
        counted = {"found": found, "void": void, "interval holds the lift": inside, "a slice found": slices}
        shares = {name: number / args.repeats for name, number in counted.items()}
        rows.append({"lift": lift, "comparisons": args.repeats, "units": args.units, **shares})
        rows[-1] |= {"mean width": float(np.mean(widths)), "s each": seconds}
    return rows


def calibrate(args: argparse.Namespace) -> Rows:
    """Draw the units' means alone, and test them, by both tests together and by Welch's alone."""
    rows = []
    for units, fraction in ((args.units, 0.5), (3000, 0.5), (3000, 0.1), (3000, 0.01), (100, 0.1), (20, 0.5)):
        rng, found, welch = np.random.default_rng(12345), [], []
        comparisons = 2000 if units > 10_000 else 10_000
        at_once = max(1, 600_000 // units)
        for start in range(0, comparisons, at_once):
            number = min(at_once, comparisons - start)
            visits_made = rng.integers(1, 6, number * units)[:, None]
            made = np.arange(5) < visits_made
            noise = (rng.lognormal(0, 0.3, (number * units, 5)) * made).sum(axis=1) / visits_made[:, 0]
            means = rng.lognormal(3, 0.5, number * units) * noise
            table = pd.DataFrame({"slice": np.repeat(np.arange(number), units), "mean": means})
            table["challenger"] = rng.random(number * units) < fraction
            found.append(effects_apart(table, number))
            welch += [_welch_p(part["mean"], part["challenger"]) for _, part in table.groupby("slice")]
        effects = pd.concat(found)
        inside = (effects["lower"] <= 0) & (effects["upper"] >= 0)
        shares = {f"p < {level}": float((effects["p_value"] < level).mean()) for level in (0.05, 0.01)}
        shares |= {"Welch alone p < 0.05": float((np.array(welch) < 0.05).mean())}
        rows.append({"units": units, "fraction": fraction, "comparisons": comparisons} | shares)
        rows[-1] |= {"interval holds 0": float(inside.mean())}
    return rows


def _welch_p(means: pd.Series, challenger: pd.Series) -> float:
    variants = means[challenger], means[~challenger]
    return float(stats.ttest_ind(*variants, equal_var=False).pvalue) if min(map(len, variants)) > 1 else 1.0


OUTCOMES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "normal": lambda rng, n: rng.normal(10, 3, n),
    "lognormal": lambda rng, n: rng.lognormal(3, 0.75, n),
    "a few very dear": lambda rng, n: rng.lognormal(3, 1.2, n),
    "binary": lambda rng, n: (rng.random(n) < 0.2).astype(float),
    "count": lambda rng, n: rng.poisson(rng.gamma(0.7, 2 / 0.7, n)).astype(float),
}


def few(args: argparse.Namespace) -> Rows:
    """Compare few units of many kinds of outcomes, without a difference and with a lift of 30 percent."""
    rows = []
    for name, draw in OUTCOMES.items():
        for units, challengers in ((10, 5), (20, 10), (50, 25), (50, 10), (200, 100), (200, 10), (1000, 10)):
            rng = np.random.default_rng(1)
            outcomes = draw(rng, args.repeats * units)
            chosen = np.tile(np.arange(units) < challengers, args.repeats)
            row: dict[str, Any] = {"outcome": name, "units": units, "challengers": challengers}
            for lift in (0.0, 0.3):
                means = outcomes * np.where(chosen, 1 + lift, 1.0)
                slices = np.repeat(np.arange(args.repeats), units)
                table = pd.DataFrame({"slice": slices, "challenger": chosen, "mean": means})
                effects = effects_apart(table, args.repeats)
                row[f"found of {lift:.0%}"] = float((effects["p_value"] < 0.05).mean())
                row["holds it" if lift else "holds 0"] = float(
                    ((effects["lower"] <= lift) & (effects["upper"] >= lift)).mean()
                )
            rows.append(row)
    return rows


def small_models(folder: Path) -> tuple[MetaModel, MetaModel, pd.DataFrame]:
    args = argparse.Namespace(groups=1000, rows=30, features=10, retrained=1000)
    return two_models(args, folder)


def interleave(args: argparse.Namespace, folder: Path) -> Rows:
    """Ask for both answers, twice."""
    champion, challenger, frame = small_models(folder)
    n = args.entities // 10
    model = RolloutModel(champion, challenger, Rollout.of("customer", mode="interleave", salt="spring"))
    rows = frame.iloc[np.arange(n) % len(frame)].reset_index(drop=True).assign(customer=np.arange(n))
    first, again = (model.predict(rows, {"detail": True}) for _ in range(2))
    both = first[["prediction", "prediction_other"]].notna().all(axis=1)
    return [
        {
            "rows": n,
            "both answers": float(both.mean()),
            "challenger first %": 100 * float((first["variant"] == "challenger").mean()),
            "same again": float((first["variant"] == again["variant"]).mean()),
        }
    ]


def shadow(args: argparse.Namespace, folder: Path) -> Rows:
    """Let two servers meet the same stream in turns; compare every answer's bytes first."""
    champion, challenger, frame = small_models(folder)
    names = [name for name in frame if name != "y"]
    rows = frame.head(2000)[names].to_dict("split")["data"]  # whole numbers stay whole
    bodies = [json.dumps({"dataframe_split": {"columns": names, "data": [row]}}).encode() for row in rows]
    alone = ["metamodel", "serve", str(champion.path)]
    logged = ["--log", str(folder / "log"), "--log-features", "all"]
    (folder / "log").mkdir()
    commands = {
        "alone": alone,
        "log": [*alone, *logged],
        "shadow and log": [*alone, "--challenger", str(challenger.path), *logged],
    }
    with contextlib.ExitStack() as stack:
        started = {name: stack.enter_context(server(command, folder)) for name, command in commands.items()}
        ports = {name: port for name, (port, _) in started.items()}
        different = sum(len({_answer(port, body) for port in ports.values()}) > 1 for body in bodies[:500])
        before = {name: _cpu_seconds(pid) for name, (_, pid) in started.items()}
        turns, failures = in_turns(ports, bodies, args.rate, args.seconds, args.connections)
        metrics = _metrics(ports["shadow and log"])
        spent = {name: _cpu_seconds(pid) - before[name] for name, (_, pid) in started.items()}
    results: Rows = []
    for name, found in turns.items():
        latencies = [second for turn in found for second in turn]
        sent = len(latencies) * (1 + 1 / len(found))  # with the turn that warmed up
        results.append({"server": name, "requests": len(latencies), "failures": failures[name]})
        results[-1] |= (
            percentiles(latencies) | median_ratios(found, turns["alone"]) | {"cpu ms": 1e3 * spent[name] / sent}
        )
    return [*results, {"server": "answers that differ in a byte", "requests": 500, "failures": different}, *metrics]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answer(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    content = connection.getresponse().read()
    connection.close()
    return content


def _metrics(port: int) -> Rows:
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read().decode()
    wanted = ("metamodel_shadow_rows_total", "metamodel_log_")
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(wanted)]
    return [{"server": name, "requests": float(value)} for name, value in lines]


def faults(args: argparse.Namespace, folder: Path) -> Rows:
    """Ask for one row again and again while the challenger is broken."""
    champion, challenger, frame = small_models(folder)
    row = frame.head(1).assign(customer="c")
    expected = champion.predict(row)
    rows = []
    for fault in ("raises", "hangs", "damaged"):
        for mode in ("shadow", "ab", "interleave"):
            place = folder / f"{fault}-{mode}"
            plan = Rollout.of("customer", mode=mode, fraction=1.0, salt="s", patience=args.patience)
            write_rollout(champion.bundle, challenger.bundle, plan, place)
            if fault == "damaged":
                for file in (place / "challenger").rglob("*"):
                    if file.suffix in (".sqlite", ".arrays"):
                        content = bytearray(file.read_bytes())
                        file.unlink()
                        file.write_bytes(content[:4096] + bytes(len(content) - 4096))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                rows.append(_under(fault, mode, place, row, expected, args))
    return rows


def _under(
    fault: str, mode: str, place: Path, row: pd.DataFrame, expected: pd.DataFrame, args: argparse.Namespace
) -> dict[str, Any]:
    released = threading.Event()
    opened = open_model(place)
    assert isinstance(opened, RolloutModel)
    assert opened.challenger is not None
    opened.is_serving = opened.is_logged = True

    def broken(*_: Any, **__: Any) -> Any:
        if fault == "hangs":
            released.wait(60)
        raise RuntimeError("planted")

    if fault != "damaged":
        opened.challenger._answer = broken  # type: ignore[method-assign]
        if opened._shadow is not None:
            opened._shadow._ask = broken
    seconds, same = [], 0
    for _ in range(args.repeats):
        started = time.perf_counter()
        answer = opened.predict(row)
        seconds.append(time.perf_counter() - started)
        same += answer[list(expected)].equals(expected)
    released.set()
    slow = sum(second > args.patience / 2 for second in seconds)
    return {"fault": fault, "mode": mode, "answers": len(seconds), "as champion": same, "waited": slow} | {
        name: value for name, value in percentiles(seconds).items() if name != "p95 ms"
    }


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "which", choices=["split", "overlay", "compare", "calibrate", "few", "interleave", "shadow", "faults"]
    )
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=50_000)
    parser.add_argument("--retrained", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--units", type=int, default=30_000)
    parser.add_argument("--rate", type=float, default=459)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--patience", type=float, default=0.5)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    logging.getLogger("metamodel").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="metamodel-rollouts-") as folder:
        benchmark: Callable[..., Rows] = globals()[args.which]
        rows = benchmark(args) if args.which in ALONE else benchmark(args, Path(folder))
    show(rows, args.output)


if __name__ == "__main__":
    main()
