"""What logging children one by one costs, and that an unkind server loses and doubles nothing.

    python benchmarks/child_logging.py --groups 200          # requests and seconds a group, each mode and MLflow's own
    python benchmarks/child_logging.py --groups 200 --unkind # through a proxy that limits, fails and cuts

All sides of the first table log the same children into the same real `mlflow server` in one run; read the requests and
the ratios. The proxy of the second answers 429 (Retry-After: 1) above 20 requests a second and 503 for its first ten
seconds; then it cuts every tenth answer in the middle of its body. Its own log is what is printed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from registered_children import Unkind, panel, unkind_proxy
from servers import tracking_server

import metamodel
from metamodel.flavor.requirements import requirements

LIMIT, BROKEN_SECONDS, CUT = 20, 10, 10
# Below the limit: what leaves here evenly spaced arrives less so.
RATE = 18.0


def table(trained: metamodel.TrainingResult, proxy: Unkind) -> None:
    """Print requests and seconds a group; what does not depend on the groups is measured with "bundle" and left out."""
    groups = len(trained.ledger)
    fast = metamodel.ReferenceSettings(requests_per_second=10_000)
    model = metamodel.MetaModel(trained.bundle_path)
    packages = requirements(trained.manifest)

    def one_by_one() -> None:
        with mlflow.start_run():
            for key in trained.ledger["store"]:
                mlflow.sklearn.log_model(
                    model.child(int(key)), name=f"child-{key}", serialization_format="cloudpickle",
                    pip_requirements=packages,
                )  # fmt: skip

    def logged(mode: Any) -> Callable[[], object]:
        return lambda: metamodel.log_model(trained, log_children=mode, settings=fast)

    own_requests, own_seconds = measured(logged("bundle"), proxy)
    print(f"{'bundle':<26} {own_requests:6,} requests {own_seconds:7.1f} s, whatever the number of groups")
    sides = {"models": logged("models"), "runs": logged("runs"), "mlflow.sklearn.log_model": one_by_one}
    found = {name: measured(work, proxy) for name, work in sides.items()}
    for name, (requests, seconds) in found.items():
        own = (own_requests, own_seconds) if name in ("models", "runs") else (0, 0.0)
        each = (requests - own[0]) / groups
        print(f"{name:<26} {each:6.2f} requests {1000 * (seconds - own[1]) / groups:7.1f} ms a group")


def measured(work: Callable[[], object], proxy: Unkind) -> tuple[int, float]:
    proxy.take()
    started = time.perf_counter()
    work()
    return len(proxy.take()), time.perf_counter() - started


def unkind(trained: metamodel.TrainingResult, proxy: Unkind) -> None:
    """Log into, and score from, a server that is unkind, and print what its proxy saw."""
    groups = len(trained.ledger)
    rows = panel(groups).drop(columns="y")
    settings = metamodel.ReferenceSettings(requests_per_second=RATE)
    with mlflow.start_run() as run:
        proxy.take()
        proxy.limit, proxy.cut, proxy.cut_all = LIMIT, CUT, True
        proxy.broken_until = time.monotonic() + BROKEN_SECONDS
        info = metamodel.log_model(
            trained, log_children="models", settings=settings, registered_model_name="unkind", alias="champion"
        )
        report("training", proxy)
        proxy.broken_until = time.monotonic() + BROKEN_SECONDS
        answers = metamodel.load_model(info.model_uri).predict(rows)
        report("scoring", proxy)
        proxy.limit, proxy.cut = float("inf"), 0
    expected = metamodel.MetaModel(trained.bundle_path).predict(rows)["prediction"]
    client, experiment = MlflowClient(), run.info.experiment_id
    found, token = [], None
    while True:
        page = client.search_logged_models([experiment], f"source_run_id = '{run.info.run_id}'", page_token=token)
        found, token = [*found, *page], page.token
        if not token:
            break
    stores = Counter(model.tags["store"] for model in found if "store" in model.tags)
    ready = sum(str(model.status) == "READY" for model in found)
    print(f"models on the server    {len(found):,}, {ready:,} READY: the meta-model, and ", end="")
    print(f"{len(stores):,} groups with at most {max(stores.values())} each")
    versions = client.search_model_versions("name = 'unkind'")
    print(f"registered versions     {len(versions)}")
    print(f"rows answered           {(answers['status'] == 'child').sum():,} of {len(rows):,}, ", end="")
    print(f"at most {np.abs(answers['prediction'] - expected).max():.1e} from the bundle's")


def report(what: str, proxy: Unkind) -> None:
    log = proxy.take()
    seen = Counter(status for _, _, status in log)
    moments = np.sort([moment for moment, _, _ in log])
    busiest = (np.searchsorted(moments, moments + 1) - np.arange(len(moments))).max()
    print(
        f"{what:<9} {len(log):6,} requests in {moments[-1] - moments[0]:5.0f} s: {seen[0]:,} answered, "
        f"{seen[503]:,} × 503, {seen[-1]:,} cut, {seen[429]:,} × 429; {busiest} in the busiest second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--unkind", action="store_true", help="limit, fail and cut")
    arguments = parser.parse_args()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with tempfile.TemporaryDirectory() as directory:
        os.environ["METAMODEL_DISK_CACHE"] = str(Path(directory) / "cache")
        (Path(directory) / "server").mkdir()
        with tracking_server(Path(directory) / "server") as server, unkind_proxy(server.url) as proxy:
            mlflow.set_tracking_uri(proxy.url)
            trained = metamodel.train(panel(arguments.groups), "store", "y", "ridge", n_jobs=1)
            (unkind if arguments.unkind else table)(trained, proxy)


if __name__ == "__main__":
    main()
