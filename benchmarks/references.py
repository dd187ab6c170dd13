"""What references cost beside a bundle, at many groups registered one by one in a real tracking server.

    python benchmarks/references.py --groups 300 --rate 200

Registers one model a group, refers to all of them, and scores every group: first from the server, then from the disk
cache, then from memory, and from the bundle that the same children came from; all in one run. Requests are counted by
a proxy before the server. With --disk-mb the disk cache has that limit, and its greatest size is shown. Absolute times
depend on the machine and on --rate; read the counts and the ratios.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from registered_children import export_all, panel, register_all, unkind_proxy, upload_all
from servers import tracking_server

import metamodel
from metamodel.disk_cache import process_disk_cache
from metamodel.referencing import write_references


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def on_disk(root: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in (root / "entries").rglob("*"))


def measure(groups: int, rate: float, directory: Path) -> None:
    frame = panel(groups)
    rows = frame.drop(columns="y")
    trained = metamodel.train(frame, "store", "y", "ridge", n_jobs=1, holdout=0)
    bundled = metamodel.MetaModel(trained.bundle_path)
    (directory / "server").mkdir()
    with tracking_server(directory / "server") as server, unkind_proxy(server.url) as proxy:
        mlflow.set_tracking_uri(proxy.url)
        exported = export_all(bundled, range(groups), directory / "exported")
        sources = upload_all(exported, directory / "server" / "artifacts")
        seconds, _ = timed(lambda: register_all([f"store-{key}" for key in range(groups)], sources))
        print(f"registered one by one   {seconds:8.2f} s  {len(proxy.take()):6,} requests")
        settings = metamodel.ReferenceSettings(requests_per_second=rate)
        children = "models:/store-{store}@champion"
        path = directory / "bundle"
        seconds, _ = timed(lambda: write_references(path, children, rows, "store", "y", keys=rows, settings=settings))
        print(f"checked and referred to {seconds:8.2f} s  {len(proxy.take()):6,} requests")
        expected = bundled.predict(rows)["prediction"]
        for name in ("from the server", "from disk"):
            model = metamodel.load_model(path, cache_bytes=2**30)
            seconds, answers = timed(lambda model=model: model.predict(rows))
            print(f"scored {name:<16} {seconds:8.2f} s  {len(proxy.take()):6,} requests")
            np.testing.assert_allclose(answers["prediction"], expected, rtol=1e-9)
        referred, _ = timed(lambda: model.predict(rows))
        own, _ = timed(lambda: bundled.predict(rows))
        print(f"scored from memory      {referred:8.3f} s, the bundle {own:.3f} s: {referred / own:.1f} times as long")
        cache = process_disk_cache()
        print(f"disk cache              {on_disk(cache.root) / 2**20:8.1f} MB of at most {cache.limit / 2**20:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=300)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--disk-mb", type=float, default=2048.0, help="limit of the disk cache")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["METAMODEL_DISK_CACHE"] = str(Path(directory) / "cache")
        os.environ["METAMODEL_DISK_CACHE_MB"] = str(arguments.disk_mb)
        measure(arguments.groups, arguments.rate, Path(directory))


if __name__ == "__main__":
    main()
