"""Ten real scoring servers as children of one model; one is killed, and one takes 30 seconds to answer.

    python benchmarks/endpoints.py --servers 10 --deadline 10

Every store's child is served by an `mlflow models serve` of its own. Then one server is killed, another one is stopped
by a signal and goes on 30 seconds later, and the same rows are scored until the breaker has learnt it. A proxy before
each server counts its requests.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from registered_children import export_all, panel, unkind_proxy
from servers import Server, scoring_server

import metamodel
from metamodel.tracking.references.reference_model import write_references

SLOW_SECONDS = 30.0


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def show(name: str, seconds: float, answers: pd.DataFrame, stores: pd.Series, asked: list[int]) -> None:
    failed = sorted(set(stores[answers["status"] == "failed"]))
    statuses = answers["status"].value_counts().to_dict()
    print(
        f"{name:<22}{seconds:6.2f} s  {statuses}, failed stores {failed}, requests to each server {asked}", flush=True
    )


def go_on_later(server: Server) -> threading.Timer:
    """Stop a server's processes by a signal; they go on after a while, and answer then."""
    os.killpg(server.process.pid, signal.SIGSTOP)
    timer = threading.Timer(SLOW_SECONDS, os.killpg, (server.process.pid, signal.SIGCONT))
    timer.start()
    return timer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--deadline", type=float, default=10.0)
    given = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        measure(given, Path(directory), stack)


def measure(given: argparse.Namespace, directory: Path, stack: contextlib.ExitStack) -> None:
    frame = panel(given.servers)
    rows = frame.drop(columns="y")
    bundled = metamodel.MetaModel(metamodel.train(frame, "store", "y", "ridge", holdout=0).bundle_path)
    servers, proxies = [], []
    for store, child in enumerate(export_all(bundled, range(given.servers), directory / "models")):
        own = directory / f"server-{store}"
        own.mkdir()
        servers.append(stack.enter_context(scoring_server(child, own)))
        proxies.append(stack.enter_context(unkind_proxy(servers[-1].url)))
    children = pd.DataFrame({"store": range(given.servers), "uri": [f"{it.url}/invocations" for it in proxies]})
    settings = metamodel.ReferenceSettings(allow_private=True, deadline_seconds=given.deadline)
    model = metamodel.load_model(
        write_references(directory / "bundle", children, rows, "store", "y", settings=settings)
    )

    def score(name: str) -> pd.DataFrame:
        for proxy in proxies:
            proxy.take()
        seconds, answers = timed(lambda: model.predict(rows))
        show(name, seconds, answers, rows["store"], [len(proxy.take()) for proxy in proxies])
        return answers

    answers = score("all servers up")
    np.testing.assert_allclose(answers["prediction"], bundled.predict(rows)["prediction"], rtol=1e-9)
    dead, slow = given.servers // 2, given.servers - 1
    servers[dead].kill()
    timer = go_on_later(servers[slow])
    print(f"store {dead}'s server is killed, store {slow}'s answers after {SLOW_SECONDS:g} s")
    for number in range(1, 6):
        score(f"batch {number}")
    timer.join()
    time.sleep(SLOW_SECONDS + 1)  # as long as a breaker stays open
    score("half a minute later")


if __name__ == "__main__":
    main()
