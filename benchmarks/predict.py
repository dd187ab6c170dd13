"""How fast is one mixed batch, and one row? Each figure is a ratio of two sides measured in one run.

    python benchmarks/predict.py --families ridge,forest --groups 100,1000 --rows 10000
    python benchmarks/predict.py --one-row --families ridge --groups 1000

Peers: `groupby.apply(child.predict)`; one sort, then `child.predict` on array slices; a pyfunc with an eagerly loaded
dict of children. Floors: the children's own `predict` on slices that are ready; `np.sum` over the same matrix.
A peer that would take minutes is timed on the rows of the first `--peer-groups` groups and scaled by rows; the column
`peer share` says which part was measured.
"""

import argparse
import cProfile
import itertools
import pstats
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import CLOCKS, median_seconds, show
from workloads import FAMILIES, FEATURES, KEY, Workload, workload

from metamodel.model import MetaModel


def groupby_apply(children: dict[str, Any], frame: pd.DataFrame) -> pd.Series:
    """The way most notebooks do it."""

    def predict(part: pd.DataFrame) -> pd.Series:
        return pd.Series(children[part.name].predict(part[FEATURES]), index=part.index)

    return frame.groupby(KEY, group_keys=False)[FEATURES].apply(predict)


def sorted_slices(children: dict[str, Any], frame: pd.DataFrame) -> np.ndarray:
    """The way a careful engineer does it by hand: one sort, arrays only."""
    codes, keys = pd.factorize(frame[KEY])
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(keys) + 1))
    x = frame[FEATURES].to_numpy()[order]
    answers = np.empty(len(frame))
    for i, key in enumerate(keys):
        answers[order[bounds[i] : bounds[i + 1]]] = children[key].predict(x[bounds[i] : bounds[i + 1]])
    return answers


class EagerDict:
    """A pyfunc's `predict` over a dict of models that was loaded whole."""

    def __init__(self, children: dict[str, Any]) -> None:
        self._children = children

    def predict(self, frame: pd.DataFrame) -> pd.Series:
        parts = []
        for key, part in frame.groupby(KEY):
            parts.append(pd.Series(self._children[key].predict(part[FEATURES]), index=part.index))
        return pd.concat(parts).reindex(frame.index)


def ready_slices(children: dict[str, Any], frame: pd.DataFrame) -> list[tuple[Any, np.ndarray]]:
    return [(children[key], part[FEATURES].to_numpy()) for key, part in frame.groupby(KEY)]


def predict_all(slices: Sequence[tuple[Any, np.ndarray]]) -> None:
    for child, x in slices:
        child.predict(x)


def batch(work: Workload, repeats: int, peer_groups: int, clock: str) -> dict[str, Any]:
    """One mixed batch, against the peers and the floors."""
    model = MetaModel(work.path)
    ours = median_seconds(lambda: model.predict(work.frame), repeats, clock)
    matrix = work.frame[FEATURES].to_numpy()
    read = median_seconds(lambda: np.sum(matrix), max(repeats, 5), clock)
    children, named = work.children(peer_groups), work.children(peer_groups, named=True)
    part, scale = work.first_groups(peer_groups)
    slices = ready_slices(children, part)
    peers = {
        "groupby.apply": median_seconds(lambda: groupby_apply(named, part), repeats, clock),
        "slices": median_seconds(lambda: sorted_slices(children, part), repeats, clock),
        "eager dict": median_seconds(lambda: EagerDict(named).predict(part), repeats, clock),
        "own predict": median_seconds(lambda: predict_all(slices), repeats, clock),
    }
    row = {"family": work.family, "groups": work.groups, "rows": len(work.frame), "seconds": ours}
    row["rows/s"] = len(work.frame) / ours
    row |= {f"{name} / ours": seconds * scale / ours for name, seconds in peers.items() if name != "own predict"}
    row["ours / own predict"] = ours / (peers["own predict"] * scale)
    row["ours / read X"] = ours / read
    row["stacked"] = _stacked_share(model)
    row["peer share"] = 1 / scale
    return row


def one_row(work: Workload, repeats: int, clock: str) -> dict[str, Any]:
    """One row after the other, each of another group; microseconds a row."""
    model = MetaModel(work.path)
    number = min(200, len(work.frame))
    frames = [work.frame.iloc[[i]] for i in range(number)]
    children = work.children(work.groups)
    arrays = [(children[frame[KEY].iloc[0]], frame[FEATURES].to_numpy()) for frame in frames]
    eager = EagerDict(work.children(work.groups, named=True))
    ours = median_seconds(lambda: [model.predict(frame) for frame in frames], repeats, clock) / number * 1e6
    own = median_seconds(lambda: predict_all(arrays), repeats, clock) / number * 1e6
    peer = median_seconds(lambda: [eager.predict(frame) for frame in frames], repeats, clock) / number * 1e6
    row = {"family": work.family, "groups": work.groups, "us": ours, "own predict us": own, "ours - own us": ours - own}
    row |= {"own predict / ours": own / ours, "eager dict / ours": peer / ours, "stacked": _stacked_share(model)}
    return row


def profile(work: Workload, calls: int, *, one_row: bool) -> None:
    """Print where our side spends its time."""
    model, frame = MetaModel(work.path), work.frame.iloc[:1] if one_row else work.frame
    model.predict(frame)
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(calls):
        model.predict(frame)
    profiler.disable()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(12)


def _stacked_share(model: MetaModel) -> float | None:
    stats = model.stats()
    total = sum(stats["rows"].values())
    return stats["rows_stacked"] / total if "rows_stacked" in stats and total else None


def _numbers(text: str) -> list[int]:
    return [int(float(part)) for part in text.split(",")]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="ridge,scaler_ridge,logistic,forest,hist_gradient_boosting,neighbors")
    parser.add_argument("--groups", type=_numbers, default=[100])
    parser.add_argument("--rows", type=_numbers, default=[10_000])
    parser.add_argument("--traffic", choices=["uniform", "zipf"], default="uniform")
    parser.add_argument("--train-rows", type=int, default=30, help="rows each child is trained on")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: on a machine that others use too")
    parser.add_argument("--peer-groups", type=int, default=1000, help="groups on which the slow sides are timed")
    parser.add_argument("--one-row", action="store_true", help="single rows instead of batches")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "metamodel-benchmarks")
    parser.add_argument("--profile", action="store_true", help="instead: where one call to predict spends its time")
    parser.add_argument("--json", type=Path, default=None, help="also write the results here")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    families = options.families.split(",")
    if unknown := [name for name in families if name not in FAMILIES]:
        raise SystemExit(f"unknown families: {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    results = []
    for family, groups, rows in itertools.product(families, options.groups, options.rows):
        work = workload(family, groups, rows, options.traffic, options.train_rows, options.work)
        if options.profile:
            profile(work, 2000 if options.one_row else 1, one_row=options.one_row)
        elif options.one_row:
            results.append(one_row(work, options.repeats, options.clock))
        else:
            results.append(batch(work, options.repeats, options.peer_groups, options.clock))
    if results:
        show(results, options.json)


if __name__ == "__main__":
    main()
