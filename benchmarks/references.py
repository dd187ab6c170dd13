"""What references cost beside a bundle, at many groups registered one by one in a real tracking server.

    python benchmarks/references.py --groups 300 --rate 200 --ways
    python benchmarks/references.py --groups 200 --rate 18 --unkind
    python benchmarks/references.py --groups 50 --rate 20 --burst
    python benchmarks/references.py --groups 1000 --rate 200 --disk-mb 50 --estimator extra_trees --rows 16 --kill

Registers one model a group, refers to all of them, and scores every group: first from the server, then from the disk
cache, then from memory, and from the bundle that the same children came from; all in one run. Requests are counted by
a proxy before the server.

--ways    answers over HTTP and in `spark_udf` are compared with the bundle's too, and the downloads counted.
--unkind  the proxy answers 429 above 20 requests a second, 503 for ten seconds, and cuts every fifth download.
--burst   as many processes as groups start at the same moment, each for a group of its own: once as on one machine,
          once as on as many machines that do not see each other.
--kill    scoring runs in a process of its own, is killed in the middle, and started again; what lies on the disk
          meanwhile and afterwards is shown.

Absolute times depend on the machine and on --rate; read the counts and the ratios.
"""

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import requests

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from registered_children import Unkind, export_all, panel, register_all, unkind_proxy, upload_all
from servers import scoring_server, tracking_server

import metamodel
from metamodel.common.byte_cache import ByteCache
from metamodel.flavor.remote.disk_cache import process_disk_cache

MB = 2**20
# A program that scores a file, in a process that can be killed.
SCORE = (
    "import sys, pandas as pd, metamodel\n"
    "answers = metamodel.load_model(sys.argv[1]).predict(pd.read_parquet(sys.argv[2]))\n"
    "print(answers['status'].value_counts().to_dict())\n"
)


@dataclass(frozen=True)
class Fleet:
    """Children registered one by one, the bundle that they came from, and a model that refers to them."""

    directory: Path
    proxy: Unkind
    bundled: metamodel.MetaModel
    rows: pd.DataFrame
    uri: str = ""

    @property
    def expected(self) -> Any:
        return self.bundled.predict(self.rows)["prediction"].to_numpy()

    def compare(self, name: str, predicted: Any) -> None:
        """Show how far answers are from the bundle's."""
        worst = np.max(np.abs(np.asarray(predicted, dtype=float) - self.expected) / np.abs(self.expected))
        print(f"{name:<24}{len(predicted):6,} rows, farthest from the bundle's answer {worst:.1e} (relative)")
        assert worst <= 1e-9


def timed(name: str, proxy: Unkind, work: Callable[[], Any]) -> Any:
    proxy.take()
    started = time.perf_counter()
    result = work()
    print(f"{name:<24}{time.perf_counter() - started:8.2f} s  {len(proxy.take()):6,} requests", flush=True)
    return result


@contextlib.contextmanager
def registered(given: argparse.Namespace, directory: Path) -> Iterator[Fleet]:
    frame = panel(given.groups, given.rows)
    rows = frame.drop(columns="y").groupby("store").head(6).reset_index(drop=True)
    trained = metamodel.train(frame, "store", "y", given.estimator, holdout=0, stack=False)
    bundled = metamodel.MetaModel(trained.bundle_path)
    served, names = directory / "server", [f"store-{key}" for key in range(given.groups)]
    served.mkdir()
    with tracking_server(served) as server, unkind_proxy(server.url) as proxy:
        mlflow.set_tracking_uri(proxy.url)
        sources = upload_all(export_all(bundled, range(given.groups), directory / "exported"), served / "artifacts")
        timed("registered one by one", proxy, lambda: register_all(names, sources))
        settings = metamodel.ReferenceSettings(requests_per_second=given.rate)
        children, options = "models:/store-{store}@champion", {"keys": rows, "settings": settings}
        logged = timed(
            "checked and referred to",
            proxy,
            lambda: metamodel.reference(children, rows, "store", "y", registered_model_name="referring", **options),
        )
        yield Fleet(directory, proxy, bundled, rows, logged.model_uri)


def measure(fleet: Fleet) -> None:
    bundled, rows = fleet.bundled, fleet.rows
    for name in ("from the server", "from disk"):
        model = metamodel.load_model(fleet.uri, cache_bytes=2**30)
        answers = timed(f"scored {name}", fleet.proxy, lambda model=model: model.predict(rows))
        fleet.compare("  load_model", answers["prediction"])
    started = time.perf_counter()
    model.predict(rows)
    referred = time.perf_counter() - started
    started = time.perf_counter()
    bundled.predict(rows)
    own = time.perf_counter() - started
    print(f"scored from memory      {referred:8.3f} s, the bundle {own:.3f} s: {referred / own:.1f} times as long")
    cache = process_disk_cache()
    print(f"disk cache              {on_disk(cache.root) / MB:8.1f} MB of at most {cache.limit / MB:,.0f} MB")


# -------- three ways of asking
def downloads(proxy: Unkind) -> Counter[str]:
    return Counter(path for _, path, status in proxy.take() if path.endswith("model.pkl") and status == 0)


def ways(fleet: Fleet) -> None:
    asked = fleet.rows[fleet.rows["store"].isin([3, 5, 8])]
    with own_cache(fleet.directory / "asked"):
        fleet.proxy.take()
        metamodel.load_model(fleet.uri, cache_bytes=2**30).predict(asked)
        print(f"asked for 3 groups      {sum(downloads(fleet.proxy).values()):8,} children downloaded")
    (fleet.directory / "http").mkdir()
    env = {"METAMODEL_DISK_CACHE": str(fleet.directory / "http" / "cache"), "MLFLOW_TRACKING_URI": fleet.proxy.url}
    with scoring_server(fleet.uri, fleet.directory / "http", env=env) as server:
        body = json.dumps({"dataframe_split": fleet.rows.to_dict(orient="split")})
        answer = requests.post(
            f"{server.url}/invocations", body, headers={"Content-Type": "application/json"}, timeout=600
        )
    fleet.compare("mlflow models serve", [row["prediction"] for row in answer.json()["predictions"]])
    counted = downloads(fleet.proxy)
    print(f"  downloads             {sum(counted.values()):8,} of {len(counted):,} children")
    with own_cache(fleet.directory / "spark"):
        fleet.compare("spark_udf", in_spark(fleet))
    counted = downloads(fleet.proxy)
    print(f"  downloads             {sum(counted.values()):8,} of {len(counted):,} children")


def in_spark(fleet: Fleet) -> Any:
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import struct

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    try:
        table = spark.createDataFrame(fleet.rows.assign(row=range(len(fleet.rows)))).repartition(4, "store")
        score = mlflow.pyfunc.spark_udf(spark, fleet.uri, env_manager="local")
        answers = table.select("row", score(struct("store", "x", "z")).alias("answer")).orderBy("row").toPandas()
    finally:
        spark.stop()
    return [answer["prediction"] for answer in answers["answer"]]


@contextlib.contextmanager
def own_cache(directory: Path) -> Iterator[None]:
    """Begin without a child on disk or in memory, in this process and in those that it starts."""
    from metamodel.flavor.remote import aliases as places
    from metamodel.flavor.remote import disk_cache

    before, mine = os.environ["METAMODEL_DISK_CACHE"], disk_cache._cache
    os.environ["METAMODEL_DISK_CACHE"], disk_cache._cache = str(directory), None
    places._resolved = ByteCache(limit=1_000_000)
    try:
        yield
    finally:
        os.environ["METAMODEL_DISK_CACHE"], disk_cache._cache = before, mine


# -------- a server that refuses, fails and cuts
def unkind(fleet: Fleet) -> None:
    proxy = fleet.proxy
    model = metamodel.load_model(fleet.uri, cache_bytes=2**30)
    proxy.take()
    proxy.limit, proxy.broken_until, proxy.cut = 20, time.monotonic() + 10, 5
    started = time.perf_counter()
    with own_cache(fleet.directory / "unkind"):
        answers = model.predict(fleet.rows)
    print(f"scored through it all   {time.perf_counter() - started:8.2f} s")
    proxy.limit, proxy.cut = float("inf"), 0
    fleet.compare("  load_model", answers["prediction"])
    print(f"  status of the rows      {answers['status'].value_counts().to_dict()}")
    words = {0: "answered", -1: "cut in the body", 429: "429", 503: "503"}
    verdicts = Counter(words[status] for _, _, status in proxy.requests)
    print(f"  requests                {len(proxy.requests):,}: {dict(verdicts)}")
    print(f"  busiest second          {proxy.busiest_second()} requests, of 20 allowed")
    counted = downloads(proxy)
    print(f"  complete downloads      {sum(counted.values()):,} of {len(counted):,} children")


# -------- many processes that start together
def burst(fleet: Fleet) -> None:
    model = metamodel.load_model(fleet.uri)
    os.environ["METAMODEL_FETCH_WORKERS"] = str(fleet.rows["store"].nunique())
    for name, machines in (("one machine", False), ("a machine each", True)):
        fleet.proxy.take()
        workers = [
            start_worker(fleet, str(model.bundle.path), store, machines) for store in fleet.rows["store"].unique()
        ]
        for _, barrier in workers:
            os.write(barrier, b"go")
        failed = sum(os.waitpid(process, 0)[1] != 0 for process, _ in workers)
        moments = np.sort([moment for moment, _, _ in fleet.proxy.requests])
        first = int(np.sum(moments < moments[0] + 1))
        print(
            f"{len(workers)} workers, {name:<14} {len(moments):6,} requests, {first} in the first second, at most "
            f"{fleet.proxy.busiest_second()} in any, {failed} workers failed",
            flush=True,
        )
    del os.environ["METAMODEL_FETCH_WORKERS"]


def start_worker(fleet: Fleet, bundle: str, store: int, own_machine: bool) -> tuple[int, int]:
    """Fork a process that scores one group as soon as something is written to the pipe that is returned."""
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(read)
        return process, write
    code = 1
    with contextlib.suppress(Exception):
        place = fleet.directory / (f"machine-{store}" if own_machine else "one-machine")
        os.environ["METAMODEL_DISK_CACHE"] = str(place)
        rows = fleet.rows[fleet.rows["store"] == store]
        os.read(read, 2)
        answers = metamodel.load_model(bundle, cache_bytes=2**30).predict(rows)
        code = int(set(answers["status"]) != {"child"})
    os._exit(code)


# -------- what lies on the disk
def on_disk(root: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # an entry goes while it is counted
        return sum(path.stat().st_blocks * 512 for path in root.rglob("*"))
    return 0


def kill(fleet: Fleet) -> None:
    temporary, cache = fleet.directory / "tmp", fleet.directory / "killed"
    temporary.mkdir()
    fleet.rows.to_parquet(fleet.directory / "rows.parquet")
    command = [sys.executable, "-c", SCORE, fleet.uri, str(fleet.directory / "rows.parquet")]
    env = {
        **os.environ,
        "TMPDIR": str(temporary),
        "METAMODEL_DISK_CACHE": str(cache),
        "MLFLOW_TRACKING_URI": fleet.proxy.url,
    }

    def files(directory: Path) -> int:
        return sum(path.is_file() for path in directory.rglob("*"))

    def show(when: str) -> None:
        left = files(temporary) + sum(files(path) for path in (cache / "partial").iterdir())
        print(f"  {when:<22}{on_disk(cache) / MB:8.1f} MB on disk, {left:,} temporary files", flush=True)

    largest = 0
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            largest = max(largest, on_disk(cache) + on_disk(temporary))
            time.sleep(0.1)
    children = sum(path.stat().st_size for path in (fleet.directory / "exported").glob("*/model.pkl"))
    print(
        f"children                {children / MB:8.1f} MB; on disk at most {largest / MB:.1f} MB while they were scored"
    )
    show("after the exit")
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        while not list((cache / "partial").glob("*/*/*")):  # a download is under way
            time.sleep(0.01)
        process.kill()
    show("after SIGKILL")
    subprocess.run(command, env=env, stderr=subprocess.DEVNULL, check=True)
    show("after the next one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=300)
    parser.add_argument("--rows", type=int, default=6, help="rows that each child is fitted on")
    parser.add_argument("--estimator", default="ridge")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--disk-mb", type=float, default=2048.0, help="limit of the disk cache")
    for name in ("ways", "unkind", "burst", "kill"):
        parser.add_argument(f"--{name}", action="store_true")
    given = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with tempfile.TemporaryDirectory() as directory:
        os.environ["METAMODEL_DISK_CACHE"] = str(Path(directory) / "cache")
        os.environ["METAMODEL_DISK_CACHE_MB"] = str(given.disk_mb)
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        with registered(given, Path(directory)) as fleet:
            parts = [part for part in (ways, unkind, burst, kill) if getattr(given, part.__name__)]
            for part in parts or [measure]:
                part(fleet)


if __name__ == "__main__":
    main()
