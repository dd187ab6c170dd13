"""What logging and registering a training costs: requests to a real `mlflow server`, seconds over writing the bytes.

    python benchmarks/log_requests.py --groups 5,50000
    python benchmarks/log_requests.py --groups 50000 --steps    # where the seconds go

Ridge children of 30 rows × 10 features, judged on a holdout, with the report. Requests are counted by a proxy before
the server. The floor writes the files of the same bundle once more, through to the disk. A training of five groups is
logged first, which imports what logging needs.
"""

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow
from measuring import numbers, show
from workloads import KEY, training_table

import metamodel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from servers import Recorder, recording_proxy, tracking_server

# Function → what it does for a logging. Uploads are a part of the two steps before them.
STEPS = {
    ("log_training.py", "log_model"): "all of it",
    ("run_contents.py", "_write_pictures"): "plots and report",
    ("page.py", "write_report"): "the report of these",
    ("run_contents.py", "_write_tables"): "tables",
    ("run_contents.py", "log_dataset"): "the data set",
    ("logged_model.py", "log_pyfunc"): "the model",
    ("fresh_process.py", "warn_of_missing_code"): "looking for code that is missing",
    ("registry.py", "register_version"): "registering",
    ("rest_utils.py", "http_request"): "requests, all together",
}


def measured(groups: int, directory: Path, proxy: Recorder, *, steps: bool) -> dict[str, Any]:
    """Train, log and register; one row of the table."""
    result = metamodel.train(training_table("ridge", groups, 30), KEY, "y", "ridge", output_dir=directory / "bundle")
    profile = cProfile.Profile()
    proxy.take()
    started, computed = time.perf_counter(), time.process_time()
    if steps:
        profile.enable()
    metamodel.log_model(result, registered_model_name="logged", alias="champion")
    profile.disable()
    seconds, processor = time.perf_counter() - started, time.process_time() - computed
    requests = proxy.take()
    if steps:
        print_steps(profile)
    written, size = write_again(result.bundle_path, directory / "copy")
    files = sum("/mlflow-artifacts/" in path for _, path in requests)
    row = {"groups": groups, "requests": len(requests), "of them files": files, "log and register s": seconds}
    return {
        **row,
        "processor s": processor,
        "bundle MB": size / 2**20,
        "write s": written,
        "log / write": seconds / written,
    }


def write_again(bundle: Path, copy: Path) -> tuple[float, int]:
    """Write the files of a bundle, through to the disk: (seconds, bytes)."""
    contents = [path.read_bytes() for path in bundle.rglob("*") if path.is_file()]
    copy.mkdir()
    started = time.perf_counter()
    for number, content in enumerate(contents):
        with (copy / str(number)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - started, sum(map(len, contents))


def print_steps(profile: cProfile.Profile) -> None:
    """Print the seconds of each step, with what the profiler adds to them."""
    for (file, _, name), (*_, seconds, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if step := STEPS.get((Path(file).name, name)):
            print(f"{seconds:8.2f} s  {step}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=numbers, default=[5, 50_000])
    parser.add_argument("--steps", action="store_true", help="print where the seconds go")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with (
        tempfile.TemporaryDirectory() as name,
        tracking_server(Path(name)) as server,
        recording_proxy(server.url) as proxy,
    ):
        mlflow.set_tracking_uri(proxy.url)
        rows = []
        for place, groups in enumerate([5, *arguments.groups]):
            (Path(name) / str(place)).mkdir()
            rows.append(measured(groups, Path(name) / str(place), proxy, steps=arguments.steps and place > 0))
    show(rows[1:], arguments.json)


if __name__ == "__main__":
    main()
