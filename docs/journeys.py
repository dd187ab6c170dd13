"""Walk through the package as a row and a group do, and say which packages and modules they come through.

`python docs/journeys.py` records five journeys with `sys.setprofile` in this process; `--modules` names every module.
A hop: a function is entered from a function of another module. A climb: from one of a package on a lower floor. No
import climbs (import-linter sees to that); a climb is a call of an object that was handed down, such as the store of
children.
"""

import argparse
import asyncio
import contextlib
import importlib
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import mlflow
import pandas as pd
from architecture import packages
from click.testing import CliRunner

import metamodel

HOME = Path(metamodel.__file__).parent
FLOORS = {name: number for number, floor in enumerate(packages(), 1) for name in floor}
TABLE = pd.DataFrame({"store": ["a", "b"] * 30, "x": range(60), "y": [2.0 * i + i % 7 for i in range(60)]})
OPTIONS: dict[str, Any] = {"group_by": "store", "target": "y", "estimator": "ridge", "n_jobs": 1}


class Journey:
    """Modules in the order in which they are entered."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.climbs: Counter[tuple[str, str]] = Counter()

    def record(self, frame: FrameType, event: str, _: object) -> None:
        """Note that a function is entered (as `sys.setprofile` wants it)."""
        if event != "call" or frame.f_code.co_name == "<module>" or (module := module_of(frame)) is None:
            return
        caller = frame.f_back
        while caller is not None and module_of(caller) is None:
            caller = caller.f_back
        before = None if caller is None else module_of(caller)
        if module == before:
            return
        self.modules.append(module)
        if before is not None and FLOORS.get(package(module), 0) > FLOORS.get(package(before), 99):
            self.climbs[before, module] += 1

    def told(self, *, modules: bool) -> str:
        """Say it in a few lines."""
        way = list(dict.fromkeys(package(module) for module in self.modules if package(module) in FLOORS))
        distinct = list(dict.fromkeys(self.modules))
        climbs = "; ".join(f"{a} → {b} ×{number}" for (a, b), number in self.climbs.most_common()) or "none"
        lines = [
            f"  packages ({len(way)}): {' → '.join(way)}",
            f"  {len(distinct)} modules, {len(self.modules)} hops",
            f"  climbs: {climbs}",
        ]
        return "\n".join([*lines, f"  {' → '.join(distinct)}"] if modules else lines)


def module_of(frame: FrameType) -> str | None:
    """Name the module of this package that a function is of."""
    path = frame.f_code.co_filename
    if not path.startswith(f"{HOME}/") or not path.endswith(".py"):  # a template is none
        return None
    return path[len(str(HOME)) + 1 : -len(".py")].removesuffix("/__init__").replace("/", ".")


def package(module: str) -> str:
    """Name its package."""
    return module.partition(".")[0]


def recorded(step: Callable[[], object]) -> Journey:
    """Take a step and record it; imports that it makes are not recorded."""
    journey = Journey()
    sys.setprofile(journey.record)
    try:
        step()
    finally:
        sys.setprofile(None)
    return journey


def request(bundle: Path) -> Callable[[], object]:
    """Prepare one request to /invocations, to the application itself."""
    from metamodel.serving.app import Limits, Service
    from metamodel.serving.prometheus import Figures
    from metamodel.serving.scorer import Scorer

    model = metamodel.load_model(bundle)
    figures = Figures(1, model.route.form(model.options()).statuses)
    service = Service(Scorer(model, max_rows=500), figures.of_worker(0), Limits())
    body = json.dumps({"dataframe_split": TABLE[["store", "x"]].head(1).to_dict(orient="split")}).encode()
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "path": "/invocations", "method": "POST", "headers": headers}
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    def ask() -> None:
        asyncio.run(service(scope, receive, send))
        assert sent[0]["status"] == 200, sent

    return ask


def journeys(directory: Path) -> Iterator[tuple[str, Journey]]:
    """Walk all of them."""
    metamodel.train(TABLE, **OPTIONS, output_dir=directory / "first")  # what is imported late is imported now
    yield "one group: train", recorded(lambda: metamodel.train(TABLE, **OPTIONS, output_dir=directory / "model"))

    mlflow.set_tracking_uri(f"sqlite:///{directory}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("journeys", artifact_location=str(directory / "runs")))
    trained = metamodel.train(TABLE, **OPTIONS, stack=False, output_dir=directory / "children")
    uri = metamodel.log_model(trained).model_uri
    mlflow.pyfunc.load_model(uri).predict(TABLE)
    loaded = mlflow.pyfunc.load_model(uri)
    yield "one row: pyfunc predict, by children", recorded(lambda: loaded.predict(TABLE))

    opened = metamodel.load_model(directory / "model")
    yield "one row: predict, by a stack", recorded(lambda: opened.predict(TABLE))
    request(directory / "model")()
    yield "one row: POST /invocations of `metamodel serve`", recorded(request(directory / "model"))

    TABLE.to_csv(directory / "table.csv", index=False)
    command = [
        "train",
        "--data",
        str(directory / "table.csv"),
        "--group-by",
        "store",
        "--target",
        "y",
        "--interval",
        "0.9",
    ]
    command += ["--estimator", "ridge", "--n-jobs", "1"]
    main = importlib.import_module("metamodel.cli").main
    yield (
        "an option: `metamodel train --interval 0.9`",
        recorded(lambda: CliRunner().invoke(main, command, catch_exceptions=False)),
    )


def main() -> None:
    """Print the journeys."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", action="store_true", help="name every module")
    modules = parser.parse_args().modules
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stderr(io.StringIO()):
        for name, journey in journeys(Path(directory)):
            print(f"{name}\n{journey.told(modules=modules)}\n")


if __name__ == "__main__":
    main()
