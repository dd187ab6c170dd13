"""What one row costs over HTTP, what a steady stream of rows meets, and what MLflow's server code spends on a request.

    python benchmarks/serve.py                       # everything, at 50,000 groups
    python benchmarks/serve.py one-row --groups 1000
    python benchmarks/serve.py load --rate 459 --seconds 60 --workers 2
    python benchmarks/serve.py requests
    python benchmarks/serve.py memory --workers 2
    python benchmarks/serve.py threads

one-row: three servers of one worker, asked in turn on one connection each: a trivial pyfunc with the same signature
behind `mlflow models serve`, the meta-model behind the same server, and the meta-model behind `metamodel serve`.
load: requests leave at times that are fixed beforehand (Poisson), whether or not the ones before are answered; a
latency counts from that time. All servers listen on 127.0.0.1 alone and end with the benchmark.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import logging
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import mlflow
import numpy as np
import pandas as pd
from measuring import keep, megabytes, show
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, PythonModel, scoring_server
from workloads import KEY, NUMBERS, Workload, workload

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.flavor.pyfunc_args import pyfunc_parts
from metamodel.flavor.signature import signature
from metamodel.serving.scorer import Scorer

HOST = "127.0.0.1"
START_SECONDS = 120
# Of one server, before it is the next one's turn to be sent the same stream.
TURN_SECONDS = 3.0
# Requests that a server is asked one after the other before it is the next one's turn.
TURN = 50


class Trivial(PythonModel):
    """Answers every row with zero: what is left is the server's own cost."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        return pd.DataFrame({"prediction": [0.0] * len(model_input), "status": ["child"] * len(model_input)})


# -------- servers
def saved(work: Workload, folder: Path, *, trivial: bool) -> Path:
    """Write an MLflow model, the meta-model or the trivial one, with the same signature."""
    path = folder / ("trivial" if trivial else "ours")
    shutil.rmtree(path, ignore_errors=True)
    model = MetaModel(work.path)
    with pyfunc_parts(model, None) as ours:
        parts = {"python_model": Trivial(), "signature": ours["signature"]} if trivial else ours
        mlflow.pyfunc.save_model(path, **{**parts, "pip_requirements": ["mlflow"]})
    return path


@contextlib.contextmanager
def server(command: Sequence[str], folder: Path) -> Iterator[tuple[int, int]]:
    """Run a server on a free port; yields the port and the process that leads its group."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    with (folder / f"server-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--host", HOST, "--port", str(port)],
            stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(port, process)
        yield port, process.pid
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(15)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"a server did not come up in {START_SECONDS} s: exit code {process.poll()}")


def by_mlflow(model: Path, workers: int = 1) -> list[str]:
    return ["mlflow", "models", "serve", "-m", str(model), "--env-manager", "local", "--workers", str(workers)]


def by_us(model: Path, workers: int = 1) -> list[str]:
    return ["metamodel", "serve", str(model), "--workers", str(workers)]


# -------- requests
def bodies(work: Workload, number: int) -> list[bytes]:
    """One row each, all of other groups."""
    rows = work.frame.head(number)[[KEY, *NUMBERS]].values.tolist()
    return [json.dumps({"dataframe_split": {"columns": [KEY, *NUMBERS], "data": [row]}}).encode() for row in rows]


def ask(connection: http.client.HTTPConnection, body: bytes) -> float:
    started = time.perf_counter()
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    seconds = time.perf_counter() - started
    if answer.status != 200 or b'"child"' not in content:
        raise SystemExit(f"status {answer.status}: {content[:500]!r}")
    return seconds


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{q} ms": float(np.percentile(seconds, q)) * 1e3 for q in (50, 95, 99)}


def one_row(work: Workload, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Ask three servers in turn, some requests each, so that all of them meet the same neighbours."""
    trivial, ours = saved(work, folder, trivial=True), saved(work, folder, trivial=False)
    commands = {
        "trivial pyfunc, mlflow models serve": by_mlflow(trivial),
        "meta-model, mlflow models serve": by_mlflow(ours),
        "meta-model, metamodel serve": by_us(ours),
    }
    sent = bodies(work, options.requests)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(server(command, folder))[0] for name, command in commands.items()}
        connections = {name: http.client.HTTPConnection(HOST, port, timeout=60) for name, port in ports.items()}
        every = sent[: options.warm_up] + sent
        for start in range(0, len(every), TURN):
            for name, connection in connections.items():
                seconds[name] += [ask(connection, body) for body in every[start : start + TURN]]
    rows = []
    floor = percentiles(seconds["trivial pyfunc, mlflow models serve"][options.warm_up :])
    for name, found in seconds.items():
        row = {"server": name, "groups": work.groups, **percentiles(found[options.warm_up :])}
        row |= {f"{q} / trivial": row[f"{q} ms"] / floor[f"{q} ms"] for q in ("p50", "p99")}
        rows.append(row | {"trivial / p50": floor["p50 ms"] / row["p50 ms"]})
    return rows


# -------- a steady stream
def load(work: Workload, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Send requests at times fixed beforehand."""
    ours = saved(work, folder, trivial=False)
    sent = bodies(work, min(2000, len(work.frame)))
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(1 / options.rate, int(options.rate * options.seconds)))
    with server(by_us(ours, options.workers), folder) as (port, _):
        asyncio.run(stream(port, sent, times[: options.warm_up], options.connections))
        latencies, failures = asyncio.run(stream(port, sent, times, options.connections))
    row = {"server": "metamodel serve", "groups": work.groups, "workers": options.workers}
    row |= {"requests/s": options.rate, "seconds": options.seconds, "requests": len(times), "failures": failures}
    return [row | percentiles(latencies) | {"max ms": max(latencies) * 1e3}]


def in_turns(
    ports: dict[str, int], sent: Sequence[bytes], rate: float, seconds: float, connections: int
) -> tuple[dict[str, list[list[float]]], dict[str, int]]:
    """Send the same stream to servers in turns of `TURN_SECONDS`, so that a neighbour's load falls on all of them.

    Returns
    -------
    latencies : dict
        Of each server those of each turn; a first turn, which warms up, is left out.
    failures : dict
    """
    latencies: dict[str, list[list[float]]] = {name: [] for name in ports}
    failures = dict.fromkeys(ports, 0)
    rng = np.random.default_rng(0)
    for turn in range(-1, max(1, round(seconds / TURN_SECONDS))):
        times = np.cumsum(rng.exponential(1 / rate, int(rate * TURN_SECONDS)))
        first = turn % len(ports)
        for name in [*ports][first:] + [*ports][:first]:
            found, failed = asyncio.run(stream(ports[name], sent, times, connections))
            if turn >= 0:
                latencies[name].append(found)
                failures[name] += failed
    return latencies, failures


def median_ratios(turns: Sequence[Sequence[float]], base: Sequence[Sequence[float]]) -> dict[str, float]:
    """Compare a server with another one turn by turn; medians of the ratios of each turn's quantiles."""
    pairs = [(percentiles(one), percentiles(other)) for one, other in zip(turns, base, strict=True)]
    return {
        f"{name.removesuffix(' ms')} ratio": statistics.median(one[name] / other[name] for one, other in pairs)
        for name in ("p50 ms", "p99 ms")
    }


async def stream(port: int, sent: Sequence[bytes], times: np.ndarray, connections: int) -> tuple[list[float], int]:
    """Share the requests among connections; returns the latencies and the number of failures."""
    waiting = iter(enumerate(times.tolist()))
    latencies: list[float] = []
    failures = 0
    opened = [await asyncio.open_connection(HOST, port) for _ in range(connections)]
    start = time.perf_counter() + 0.2

    async def send_in_turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal failures
        for i, due in waiting:
            await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
            try:
                good = await asyncio.wait_for(exchange(reader, writer, sent[i % len(sent)]), 60)
            except (OSError, EOFError, TimeoutError):
                good = False
                reader, writer = await asyncio.open_connection(HOST, port)
            failures += not good
            latencies.append(time.perf_counter() - start - due)

    await asyncio.gather(*(send_in_turn(*connection) for connection in opened))
    for _, writer in opened:
        writer.close()
    return latencies, failures


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bool:
    head = f"POST /invocations HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    content = await reader.readexactly(length)
    return answer.startswith(b"http/1.1 200 ") and b'"child"' in content


# -------- memory
def memory(work: Workload, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Memory that is really taken (PSS: a page that several processes share counts once), after some requests."""
    ours = saved(work, folder, trivial=False)
    sent = bodies(work, 500)
    commands = {
        "metamodel serve, 1 worker": by_us(ours),
        f"metamodel serve, {options.workers} workers": by_us(ours, options.workers),
        "mlflow models serve, 1 worker": by_mlflow(ours),
        f"mlflow models serve, {options.workers} workers": by_mlflow(ours, options.workers),
    }
    rows = []
    for name, command in commands.items():
        with server(command, folder) as (port, leader):
            for body in sent:
                connection = http.client.HTTPConnection(HOST, port, timeout=60)  # each time: the workers take turns
                ask(connection, body)
                connection.close()
            rows.append({"server": name, "groups": work.groups, "MB": megabytes(leader)})
    return rows


# -------- requests in process
def requests(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What MLflow's server code spends on a request, around a model that does nothing and for a meta-model."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    results = []
    for rows, features in ((1, 10), (1, 100), (100, 10), (1000, 10)):
        model = _tiny(features)
        scorer, declared = Scorer(model, max_rows=rows), signature(model.manifest, model.route, model.options())
        values = np.random.default_rng(0).normal(size=(rows, features)).tolist()
        names = [f"x{i}" for i in range(features)]
        split = {"columns": [KEY, *names], "data": [[f"store-{i % 2}", *row] for i, row in enumerate(values)]}
        body = json.dumps({"dataframe_split": split}).encode()
        calls = {
            "no signature": _trivial_call(body, None),
            "signature": _trivial_call(body, declared.inputs),
            "meta-model": lambda sent=body, it=scorer: it.answer_by_mlflow(sent, "application/json"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(max(10, options.repeats // rows)):
            for name, call in calls.items():
                started = time.process_time()
                call()
                seconds[name].append(time.process_time() - started)
        median = {name: statistics.median(found) for name, found in seconds.items()}
        results.append({"rows": rows, "features": features, **{f"{name} ms": m * 1e3 for name, m in median.items()}})
        results[-1]["meta-model / signature"] = median["meta-model"] / median["signature"]
    return results


def _tiny(features: int) -> MetaModel:
    """Train two groups of Ridge."""
    x = np.random.default_rng(1).normal(size=(8, features))
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(features)]).assign(y=np.arange(8.0))
    table[KEY] = ["store-0", "store-1"] * 4
    return MetaModel(metamodel.train(table, KEY, "y", "ridge", holdout=0, n_jobs=1).bundle_path)


def _trivial_call(body: bytes, schema: Any) -> Callable[[], Any]:
    """Ask the trivial model by MLflow's code as MLflow wrote it."""
    model = Model() if schema is None else Model(signature=ModelSignature(inputs=schema))
    model.add_flavor("python_function", loader_module="mlflow.pyfunc.model")
    pyfunc, server = PyFuncModel(model, _Nothing()), cast("Any", scoring_server)

    def call() -> Any:
        ours = server.infer_and_parse_data
        server.infer_and_parse_data = ours.original
        try:
            return server.invocations.original(body, "application/json", pyfunc, schema)
        finally:
            server.infer_and_parse_data = ours

    return call


class _Nothing:
    def predict(self, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        return Trivial().predict(None, model_input)


# -------- threads
def threads(work: Workload, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One row answered on the event loop, and handed to a thread and back."""
    model = MetaModel(work.path)
    model.warm_up()
    scorer, sent = Scorer(model, max_rows=1000), bodies(work, options.requests)
    pool = ThreadPoolExecutor(1)

    def answer(body: bytes) -> Any:
        return scorer.answer(scorer.read(body, "application/json"))

    async def measure() -> dict[str, list[float]]:
        seconds: dict[str, list[float]] = {"on the event loop": [], "in a thread": []}
        for body in sent:
            for name, found in seconds.items():
                started = time.perf_counter()
                if name == "in a thread":
                    await asyncio.wrap_future(pool.submit(answer, body))
                else:
                    answer(body)
                found.append(time.perf_counter() - started)
        return seconds

    found = asyncio.run(measure())
    return [{"answered": name, "groups": work.groups, **percentiles(of)} for name, of in found.items()]


PARTS = {"one-row": one_row, "load": load, "memory": memory, "threads": threads}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}, requests; default: all")
    parser.add_argument("--family", default="ridge")
    parser.add_argument("--groups", type=int, default=50_000)
    parser.add_argument("--requests", type=int, default=2000, help="one-row: requests to each server")
    parser.add_argument("--warm-up", type=int, default=200, help="requests that are not counted")
    parser.add_argument("--rate", type=float, default=459.0, help="load: requests a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="load: for how long")
    parser.add_argument("--workers", type=int, default=2, help="load, memory: worker processes")
    parser.add_argument("--connections", type=int, default=32, help="load: connections")
    parser.add_argument("--repeats", type=int, default=300, help="requests: calls")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "metamodel-benchmarks")
    parser.add_argument("--json", type=Path, default=None, help="also write the results here")
    options = parser.parse_args()
    if odd := set(options.parts) - {*PARTS, "requests"}:
        parser.error(f"unknown part: {', '.join(sorted(odd))}")
    return options


def main() -> None:
    options = arguments()
    wanted = options.parts or ["requests", *PARTS]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        for part in wanted:
            if part == "requests":
                results[part] = requests(options)
            else:
                work = workload(options.family, options.groups, 20_000, "uniform", 30, options.work)
                results[part] = PARTS[part](work, options, Path(directory))
            print(f"\n{part}")
            show(results[part], None)
    keep(results, options.json)


if __name__ == "__main__":
    main()
