"""What a meta-model costs where its users call it: `mlflow.pyfunc`, `spark_udf`, and a row over HTTP.

    python benchmarks/users.py                                  # all three, as far as below, about ten minutes
    python benchmarks/users.py pyfunc --keys integer,texts,mixed --groups 5e4 --rows 1e6
    python benchmarks/users.py spark_udf --groups 2e4 --rows 1e6
    python benchmarks/users.py http --keys texts --groups 5e4

pyfunc: `mlflow.pyfunc.load_model(...).predict` against `MetaModel.predict` behind it, `groupby.apply` on the rows of
the first groups (scaled by rows), `np.sum` over the same matrix, and a pyfunc that answers zeros under the same
signature.
spark_udf: against a UDF of such a zeros model on local[2]. http: against it behind `mlflow models serve`, one row a
request. The sides take turns; each ratio is the median of the ratios of single turns, so that a neighbour's load falls
on both of its sides.
"""

import argparse
import contextlib
import http.client
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import serve
import spark
from measuring import CLOCKS, keep, numbers, show
from mlflow.pyfunc import PythonModel
from predict import WORK
from workloads import NUMBERS

import metamodel
from metamodel.flavor.pyfunc_args import pyfunc_parts

COUNTRIES, SEATS = 50, 2
TRAIN_ROWS = 4


class Zeros(PythonModel):
    """Answers every row with zero: what is left is MLflow's own cost."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        status = np.full(len(model_input), "child", dtype=object)
        return pd.DataFrame({"prediction": np.zeros(len(model_input)), "status": status})


# -------- models
def keys_of(form: str, codes: np.ndarray) -> dict[str, Any]:
    """Group columns of rows: one integer, two texts, or a text, an integer and a boolean."""
    if form == "integer":
        return {"store": codes}
    countries = np.array([f"country-{i:02d}" for i in range(COUNTRIES)], dtype=object)[codes % COUNTRIES]
    if form == "texts":
        stores = np.array([f"store-{i:05d}" for i in range(int(codes.max(initial=0)) + 1)], dtype=object)
        return {"country": countries, "store": stores[codes]}
    return {"country": countries, "store": codes // COUNTRIES // SEATS, "open": codes // COUNTRIES % SEATS == 1}


def table(form: str, codes: np.ndarray, seed: int) -> pd.DataFrame:
    """Rows of groups by their numbers."""
    x = np.random.default_rng(seed).normal(size=(len(codes), len(NUMBERS)))
    return pd.DataFrame({**keys_of(form, codes), **dict(zip(NUMBERS, x.T, strict=True))})


@dataclass(frozen=True)
class Models:
    """The meta-model and the zeros model as MLflow stores them, and a batch for both.

    Parameters
    ----------
    form, groups
        Kind of group columns, and how many groups.
    ours, zeros
        Directories of the logged models.
    frame, codes
        The batch, and the number of each row's group.
    """

    form: str
    groups: int
    ours: Path
    zeros: Path
    frame: pd.DataFrame
    codes: np.ndarray

    @property
    def keys(self) -> list[str]:
        """Names of the group columns."""
        return [name for name in self.frame if name not in NUMBERS]


def models(form: str, groups: int, rows: int, root: Path) -> Models:
    """Train Ridge children once, and save both models with the code of now."""
    place = root / f"users-{form}-{groups}"
    codes = np.repeat(np.arange(groups), TRAIN_ROWS)
    if not (place / "bundle").is_dir():
        training = table(form, codes, 0).assign(y=np.random.default_rng(1).normal(size=len(codes)))
        keys = list(keys_of(form, codes[:1]))
        metamodel.train(
            training, keys, "y", "ridge", holdout=0, min_rows=1, n_jobs=2, stack=True, output_dir=place / "bundle"
        )
    opened = metamodel.load_model(place / "bundle")
    for name in ("ours", "zeros"):
        shutil.rmtree(place / name, ignore_errors=True)
    with pyfunc_parts(opened, None) as parts:
        parts["pip_requirements"] = ["mlflow"]
        mlflow.pyfunc.save_model(place / "ours", **parts)
        declared, needed = parts["signature"], parts["pip_requirements"]
        mlflow.pyfunc.save_model(place / "zeros", python_model=Zeros(), signature=declared, pip_requirements=needed)
    codes = np.random.default_rng(2).integers(0, groups, rows)
    return Models(form, groups, place / "ours", place / "zeros", table(form, codes, 3), codes)


# -------- turns
def turns(sides: Mapping[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each side in each turn; a first turn is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, call in sides.items():
            started = clock()
            call()
            if turn:
                seconds[name].append(clock() - started)
    return seconds


def ratio(above: list[float], below: list[float]) -> float:
    """Median of the turns' ratios."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


# -------- mlflow.pyfunc
def pyfunc(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A batch through MLflow, for each kind of group columns."""
    return [
        _pyfunc(models(form, groups, rows, options.work), options)
        for groups, rows in zip(options.groups, options.rows, strict=True)
        for form in options.keys
    ]


def _pyfunc(work: Models, options: argparse.Namespace) -> dict[str, Any]:
    ours, zeros = (mlflow.pyfunc.load_model(str(path)) for path in (work.ours, work.zeros))
    inner = ours.unwrap_python_model().model
    part = work.frame[work.codes < options.peer_groups]
    children = {key: inner.child(key) for key in part[work.keys].drop_duplicates().itertuples(index=False, name=None)}
    matrix = work.frame[NUMBERS].to_numpy()
    sides = {
        "read": lambda: np.sum(matrix),
        "inner": lambda: inner.predict(work.frame),
        "pyfunc": lambda: ours.predict(work.frame),
        "zeros": lambda: zeros.predict(work.frame),
        "groupby.apply": lambda: _groupby_apply(children, part, work.keys),
    }
    found = turns(sides, options.repeats, CLOCKS[options.clock])
    scale = len(work.frame) / len(part)
    return {
        "keys": work.form,
        "groups": work.groups,
        "rows": len(work.frame),
        **{f"{name} s": statistics.median(found[name]) for name in ("inner", "pyfunc", "zeros")},
        "pyfunc / inner": ratio(found["pyfunc"], found["inner"]),
        "groupby.apply / pyfunc": scale * ratio(found["groupby.apply"], found["pyfunc"]),
        "pyfunc / read X": ratio(found["pyfunc"], found["read"]),
        "zeros / pyfunc": ratio(found["zeros"], found["pyfunc"]),
        "peer share": 1 / scale,
    }


def _groupby_apply(children: Mapping[Any, Any], frame: pd.DataFrame, keys: list[str]) -> pd.Series:
    """The way most notebooks do it."""

    def predict(part: pd.DataFrame) -> pd.Series:
        name = part.name if isinstance(part.name, tuple) else (part.name,)
        return pd.Series(children[name].predict(part), index=part.index)

    return frame.groupby(keys if len(keys) > 1 else keys[0], group_keys=False)[NUMBERS].apply(predict)


# -------- spark_udf
def spark_udf(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A table through `spark_udf` with its struct result, on local[2]."""
    from pyspark.sql import functions as F  # noqa: N812

    results = []
    with tempfile.TemporaryDirectory() as folder:
        session = spark.session(Path(folder))
        for form in options.keys:
            work = models(form, options.groups[0], options.rows[0], options.work)
            work.frame.to_parquet(f"{folder}/{form}.parquet", index=False)
            rows = session.read.parquet(f"{folder}/{form}.parquet").repartition(2).cache()
            rows.count()
            sides = {}
            for name, path in (("zeros", work.zeros), ("ours", work.ours)):
                udf = mlflow.pyfunc.spark_udf(session, str(path), env_manager="local")
                answers = rows.withColumn("answer", udf(F.struct(*rows.columns)))
                sides[name] = lambda it=answers: it.write.format("noop").mode("overwrite").save()
            found = turns(sides, options.repeats, CLOCKS["wall"])
            row = {"keys": form, "groups": work.groups, "rows": len(work.frame)}
            row |= {f"{name} rows/s": len(work.frame) / statistics.median(found[name]) for name in found}
            results.append(row | {"rows/s of ours / zeros": ratio(found["zeros"], found["ours"])})
            rows.unpersist()
        session.stop()
    return results


# -------- HTTP
def over_http(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a request: the zeros model and ours behind MLflow's server, and `metamodel serve`."""
    return [
        row
        for form in options.keys
        for row in _over_http(models(form, options.groups[0], options.requests, options.work), options)
    ]


def _over_http(work: Models, options: argparse.Namespace) -> list[dict[str, Any]]:
    commands = {
        "zeros, mlflow models serve": serve.by_mlflow(work.zeros),
        "meta-model, mlflow models serve": serve.by_mlflow(work.ours),
        "meta-model, metamodel serve": serve.by_us(work.ours),
    }
    split = json.loads(work.frame.to_json(orient="split", index=False))
    sent = [json.dumps({"dataframe_split": {**split, "data": [row]}}).encode() for row in split["data"]]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: stack.enter_context(serve.server(command, folder))[0] for name, command in commands.items()}
        asked = {name: http.client.HTTPConnection(serve.HOST, port, timeout=60) for name, port in ports.items()}
        warm = sent[: options.warm_up]
        for connection in asked.values():
            for body in warm:
                serve.ask(connection, body)
        for start in range(0, len(sent), serve.TURN):
            for name, connection in asked.items():
                seconds[name] += [serve.ask(connection, body) for body in sent[start : start + serve.TURN]]
    floor = serve.percentiles(seconds["zeros, mlflow models serve"])
    rows = []
    for name, found in seconds.items():
        row = {"server": name, "keys": work.form, "groups": work.groups, **serve.percentiles(found)}
        rows.append(row | {f"{q} / zeros": row[f"{q} ms"] / floor[f"{q} ms"] for q in ("p50", "p99")})
    return rows


PARTS = {"pyfunc": pyfunc, "spark_udf": spark_udf, "http": over_http}
DEFAULTS = {
    "pyfunc": {"keys": "integer,texts,mixed", "groups": "5e4", "rows": "1e6"},
    "spark_udf": {"keys": "texts", "groups": "2e4", "rows": "1e6"},
    "http": {"keys": "texts", "groups": "5e4", "rows": "1"},
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--keys", help="integer, texts, mixed; default: by the part")
    parser.add_argument("--groups", help="as many numbers as --rows; default: by the part")
    parser.add_argument("--rows", help="default: by the part")
    parser.add_argument("--peer-groups", type=int, default=500, help="pyfunc: groups on which groupby.apply is timed")
    parser.add_argument("--requests", type=int, default=2000, help="http: requests to each server")
    parser.add_argument("--warm-up", type=int, default=200, help="http: requests before those")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="pyfunc: cpu where others use the machine"
    )
    parser.add_argument("--work", type=Path, default=WORK, help="where bundles are kept between runs")
    parser.add_argument("--json", type=Path, default=None, help="also write the results here")
    options = parser.parse_args()
    if odd := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(odd))}")
    return options


def main() -> None:
    """Measure and print."""
    options = arguments()
    results: dict[str, Any] = {}
    for part in options.parts or PARTS:
        given = {name: getattr(options, name) or text for name, text in DEFAULTS[part].items()}
        chosen = argparse.Namespace(**vars(options))
        chosen.keys = given["keys"].split(",")
        chosen.groups, chosen.rows = numbers(given["groups"]), numbers(given["rows"])
        results[part] = PARTS[part](chosen)
        print(f"\n{part}")
        show(results[part], None)
    keep(results, options.json)


if __name__ == "__main__":
    main()
