"""What the prediction log costs an answer, and what ten million of its rows cost to write, compact and read.

    python benchmarks/prediction_log.py                              # everything
    python benchmarks/prediction_log.py load --seconds 60 --workers 2
    python benchmarks/prediction_log.py load --shadow                # and a challenger in the shadow
    python benchmarks/prediction_log.py rows --rows 1e7

load: two servers of the same model, one with a log of every row and all its features, are sent one-row requests in
turns, at times fixed beforehand; a latency counts from that time. Each answer is compared with the other server's.
rows: whole calls of many rows go through the queue's own way from answers to files; then compaction, a scan, and
monitoring and a comparison of both variants, with a label for every row.
Each step runs in a process of its own, whose largest memory is told.
"""

import argparse
import contextlib
import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import serve
from measuring import keep, show
from workloads import KEY, NUMBERS, Workload, workload

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.log_files import write_new_file
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_tables import log_table

DAYS = 10


# -------- load
def load(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Compare the latencies of two servers, with a log and without."""
    work = workload("ridge", options.groups, 20_000, "uniform", 30, options.work)
    model = serve.saved(work, folder, trivial=False)
    sent = serve.bodies(work, 2000)
    plain = serve.by_us(model, options.workers)
    logging = [*plain, "--log", str(folder / "log"), "--log-features", "all"]
    if options.shadow:
        logging += ["--challenger", str(model), "--mode", "shadow"]
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(serve.server(command, folder))
            for name, command in {"off": plain, "on": logging}.items()
        }
        ports = {name: port for name, (port, _) in servers.items()}
        different = sum(_answer(ports["off"], body) != _answer(ports["on"], body) for body in sent)
        before = {name: _processor_seconds(pid) for name, (_, pid) in servers.items()}
        turns, failures = serve.in_turns(ports, sent, options.rate, options.seconds, 32)
        processor = {name: _processor_seconds(pid) - before[name] for name, (_, pid) in servers.items()}
        time.sleep(12)  # the last rows are in the queue for so long
        counts = _metrics(ports["on"])
    latencies = {name: [second for turn in found for second in turn] for name, found in turns.items()}
    rows = [
        {"log": name, "requests": len(found), "failures": failures[name], **serve.percentiles(found)}
        | {"processor ms": 1e3 * processor[name] / (len(found) * (1 + 1 / len(turns[name])))}
        for name, found in latencies.items()
    ]
    ratios = {"processor ms": rows[1]["processor ms"] / rows[0]["processor ms"]}
    ratios |= serve.median_ratios(turns["on"], turns["off"])
    logged = sum(len(part) for part in metamodel.read_log(folder / "log", columns=["row_id"]))
    rows.append({"log": "on / off", **ratios, "different answers": different, "rows in the log": logged, **counts})
    return rows


def _processor_seconds(leader: int) -> float:
    """What a server's processes have taken of the processor so far, its log's thread and all."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == leader:
                total += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def _answer(port: int, body: bytes) -> bytes:
    connection = http.client.HTTPConnection(serve.HOST, port, timeout=60)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse().read()
    connection.close()
    return answer


def _metrics(port: int) -> dict[str, int]:
    connection = http.client.HTTPConnection(serve.HOST, port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    lines = [line.split() for line in text.splitlines() if line.startswith("metamodel_log_") and "_total" in line]
    return {name.removeprefix("metamodel_log_").removesuffix("_total"): int(float(value)) for name, value in lines}


# -------- rows
def rows(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Run each step in a process of its own."""
    results = []
    for step in STEPS:
        command = [sys.executable, __file__, step, "--folder", str(folder / "rows"), "--rows", str(options.rows)]
        command += ["--groups", str(options.groups), "--work", str(options.work)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        show(results[-1:], None)
    return results


def _write(options: argparse.Namespace) -> dict[str, Any]:
    """Answer, and write files of 10,000 rows of 10 features, spread over some days; and what became true of them.

    Beside each answer stands another one, as that of a challenger in the shadow.
    """
    work = _work(options)
    model, log = MetaModel(work.path), LogSettings(options.folder, features="all")
    log.folder.mkdir(parents=True)
    target, features = model.manifest.target, model.manifest.features
    logged = LoggedModel("sales", "8", target.task, target.label_kind, tuple(features.features))
    start = pd.Timestamp.now("UTC").value // 1000 - DAYS * 86_400_000_000
    seconds, of_file, rng = 0.0, 10_000, np.random.default_rng(0)
    labels = pq.ParquetWriter(_labels(options), pa.schema([("row_id", pa.int64()), ("y", pa.float64())]))
    for i in range(options.rows // of_file):
        frame = work.frame.iloc[(i * of_file) % 20_000 :][:of_file]
        read = model.route.read(frame[[KEY, *NUMBERS]])
        answers = model.answer(read, {"detail": True})
        answers.other = answers.prediction + rng.normal(0, 0.1, of_file)
        answers.variant = np.zeros(of_file, dtype=np.int8)
        moment = start + i * DAYS * 86_400_000_000 // max(1, options.rows // of_file)
        began = time.perf_counter()
        sent = {"row_id": list(range(i * of_file, (i + 1) * of_file))}
        became_true = answers.prediction + rng.normal(0, 1, of_file)
        labels.write_table(pa.table({"row_id": sent["row_id"], "y": became_true}))
        write_new_file(log.folder, log_table([AnsweredRows(logged, *read, answers, moment, 0.001, sent)], log))
        seconds += time.perf_counter() - began
    labels.close()
    return {"seconds": seconds, "MB on disk": _megabytes(log.folder)}


def _compact(options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    done = metamodel.compact_log(options.folder)
    assert done.rows == options.rows, done
    return {"seconds": time.perf_counter() - began, "MB on disk": _megabytes(options.folder)}


def _scan(options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    counted, total = 0, 0.0
    for part in metamodel.read_log(options.folder):
        counted += len(part)
        total += float(part["prediction"].sum())
    assert counted == options.rows, counted
    return {"seconds": time.perf_counter() - began}


def _one_day(options: argparse.Namespace) -> dict[str, Any]:
    until = pd.Timestamp.now("UTC").normalize()
    began = time.perf_counter()
    columns = ["row_id", "key", "prediction"]
    parts = metamodel.read_log(options.folder, until - pd.Timedelta(days=1), until, columns=columns)
    return {"rows": sum(map(len, parts)), "seconds": time.perf_counter() - began}


def _work(options: argparse.Namespace) -> Workload:
    """A model all of whose groups were trained, and have a reference."""
    return workload("ridge", options.groups, 20_000, "uniform", 30, options.work, distinct=0)


def _labels(options: argparse.Namespace) -> Path:
    return Path(options.folder).with_name("labels.parquet")


def _monitor(options: argparse.Namespace) -> dict[str, Any]:
    model = MetaModel(_work(options).path)
    began = time.perf_counter()
    found = metamodel.monitor(model, options.folder, _labels(options))
    assert (found.facts["rows"], found.facts["labelled"]) == (options.rows, options.rows), found.facts
    return {"seconds": time.perf_counter() - began}


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    found = metamodel.compare_variants(options.folder, _labels(options), target="y")
    assert found.facts["labelled"] == options.rows, found.facts
    return {"seconds": time.perf_counter() - began}


def _delete(options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    done = metamodel.compact_log(options.folder, delete_older="120h")
    return {"rows": done.deleted, "seconds": time.perf_counter() - began, "MB on disk": _megabytes(options.folder)}


STEPS = {"write": _write, "compact": _compact, "scan": _scan, "one-day": _one_day}

STEPS |= {"monitor": _monitor, "compare": _compare, "delete": _delete}


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help="load, rows; default: both")
    parser.add_argument("--groups", type=int, default=50_000)
    parser.add_argument("--rate", type=float, default=459.0, help="load: requests a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="load: for how long, of each server")
    parser.add_argument("--workers", type=int, default=1, help="load: worker processes")
    parser.add_argument("--shadow", action="store_true", help="load: with a challenger in the shadow")
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--folder", type=Path, help="of one step's log")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "metamodel-benchmarks")
    parser.add_argument("--json", type=Path, default=None, help="also write the results here")
    options = parser.parse_args()
    if options.parts and options.parts[0] in STEPS:
        (step,) = options.parts
        figures = {"step": step, "rows": options.rows, **STEPS[step](options)}
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures |= {"processor s, all": used.ru_utime + used.ru_stime, "peak MB": used.ru_maxrss / 1024}
        print(json.dumps(figures))
        return
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        for part in options.parts or ["load", "rows"]:
            results[part] = {"load": load, "rows": rows}[part](options, Path(directory))
            print(f"\n{part}")
            show(results[part], None)
    keep(results, options.json)


if __name__ == "__main__":
    main()
