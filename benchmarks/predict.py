"""How fast is one mixed batch, and one row? Each figure is a ratio of two sides measured in one run.

    python benchmarks/predict.py                                                    # all families, a small batch
    python benchmarks/predict.py --families ridge,forest --groups 100,1e4 --rows 1e4 --traffic uniform,zipf
    python benchmarks/predict.py --one-row --groups 1000

Peers: `groupby.apply(child.predict)`; a loop over groups; one sort, then `child.predict` on array slices; a pyfunc with
an eagerly loaded dict of children; scikit-lego's GroupedPredictor. Floors: the children's own `predict` on slices that
are ready; `np.sum` over the same matrix. A peer that would take minutes is timed on the rows of the first
`--peer-groups` groups and scaled by rows; the column "peer share" says which part was measured. That flatters the
peers: what `groupby` and GroupedPredictor cost a group grows with the number of groups.

Above `--distinct` groups the fitted children stand under many keys, each key with its own copy of the bytes.
"""

import argparse
import cProfile
import itertools
import pstats
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import CLOCKS, median_seconds, numbers, show
from peers import (
    EagerDict,
    groupby_apply,
    grouped_predictor,
    loop_over_groups,
    predict_all,
    ready_slices,
    sorted_slices,
)
from workloads import DISTINCT, FAMILIES, KEY, NUMBERS, Workload, workload

from metamodel.bundle.model import MetaModel
from metamodel.common.byte_cache import ByteCache
from metamodel.tables.small_tables import read_plain_rows

WORK = Path(tempfile.gettempdir()) / "metamodel-benchmarks"
PEERS = ("groupby.apply", "loop", "slices", "eager dict", "grouped predictor")


def opened(work: Workload) -> MetaModel:
    """Open the model with room for all its children."""
    return MetaModel(work.path, ByteCache(8 * 2**30))


def batch_peers(work: Workload, peer_groups: int, wanted: tuple[str, ...]) -> dict[str, Callable[[], Any]]:
    """Make the slow sides of a batch, on the rows of the first groups."""
    part, _ = work.first_groups(peer_groups)
    columns = work.features
    named = work.children(peer_groups, named=True)
    arrays = named if work.takes_frames else work.children(peer_groups)
    eager = EagerDict(named, columns)
    sides: dict[str, Callable[[], Any]] = {
        "groupby.apply": lambda: groupby_apply(named, part, columns),
        "loop": lambda: loop_over_groups(named, part, columns),
        "eager dict": lambda: eager.predict(part),
    }
    if not work.takes_frames:
        sides["slices"] = lambda: sorted_slices(arrays, part, columns)
    if "grouped predictor" in wanted:
        predictor = grouped_predictor(work, peer_groups)
        sides["grouped predictor"] = lambda: predictor.predict(part[[KEY, *columns]])
    slices = ready_slices(work, arrays, part)
    return {name: side for name, side in sides.items() if name in wanted} | {"own": lambda: predict_all(slices)}


def batch(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """One mixed batch, against the peers and the floors."""
    model = opened(work)
    matrix = work.frame[NUMBERS].to_numpy()
    _, scale = work.first_groups(options.peer_groups)
    slow = batch_peers(work, options.peer_groups, tuple(options.peers))
    # As often as ours, so that neighbours' load falls on both sides alike.
    fast = {"ours": lambda: model.predict(work.frame), "read": lambda: np.sum(matrix)}
    seconds = median_seconds({**fast, **slow}, options.repeats, options.clock)
    ours, own = seconds["ours"], seconds["own"] * scale
    row = {"family": work.family, "groups": work.groups, "rows": len(work.frame), "seconds": ours}
    row["rows/s"] = len(work.frame) / ours
    row |= {f"{name} / ours": seconds[name] * scale / ours for name in PEERS if name in seconds}
    row |= {"ours / own": ours / own, "ours / read X": ours / seconds["read"]}
    return row | {"stacked": stacked_share(model), "peer share": 1 / scale}


def one_row(work: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """One row after the other, each of another group; microseconds a row."""
    model = opened(work)
    number = min(100, len(work.frame))
    frames = [work.frame.iloc[[i]] for i in range(number)]
    limit = int(work.codes[:number].max()) + 1
    named = work.children(limit, named=True)
    children = named if work.takes_frames else work.children(limit)
    inputs = [(children[frame[KEY].iloc[0]], work.own_input(frame)) for frame in frames]
    eager = EagerDict(named, work.features)
    records = [frame.to_dict("records")[0] for frame in frames]
    sides = {
        "ours": lambda: [model.predict(frame) for frame in frames],
        "records": lambda: [from_record(model, record) for record in records],
        "own": lambda: predict_all(inputs),
        "eager dict": lambda: [eager.predict(frame) for frame in frames],
    }
    micro = {
        name: seconds / number * 1e6 for name, seconds in median_seconds(sides, options.repeats, options.clock).items()
    }
    row = {"family": work.family, "groups": work.groups, "us": micro["ours"], "own us": micro["own"]}
    row |= {"ours - own us": micro["ours"] - micro["own"], "own / ours": micro["own"] / micro["ours"]}
    row |= {"records us": micro["records"], "own / records": micro["own"] / micro["records"]}
    return row | {"eager dict / ours": micro["eager dict"] / micro["ours"], "stacked": stacked_share(model)}


def from_record(model: MetaModel, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer a row as `metamodel serve` does: from the values of a JSON object to those of another."""
    keys, features = model.manifest.keys, model.manifest.features
    values = [[record[name] for name in keys.names]], [[record[name] for name in features.names]]
    read = read_plain_rows(*values, keys, features)
    return model.predict_records(pd.DataFrame([record])) if read is None else model.answer(read).records()


def profile(work: Workload, calls: int, *, one_row: bool) -> None:
    """Print where our side spends its time."""
    model, frame = opened(work), work.frame.iloc[:1] if one_row else work.frame
    model.predict(frame)
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(calls):
        model.predict(frame)
    profiler.disable()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(16)


def stacked_share(model: MetaModel) -> float:
    """Share of the rows that stacks answered."""
    stats = model.stats()
    return float(stats["rows_stacked"] / max(1, sum(stats["rows"].values())))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=lambda text: text.split(","), default=list(FAMILIES))
    parser.add_argument("--groups", type=numbers, default=[100])
    parser.add_argument("--rows", type=numbers, default=[10_000])
    parser.add_argument("--traffic", type=lambda text: text.split(","), default=["uniform"], help="uniform,zipf")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS), help=",".join(PEERS))
    parser.add_argument("--train-rows", type=int, default=30, help="rows each child is trained on")
    parser.add_argument("--distinct", type=int, default=DISTINCT, help="children that are fitted; 0 for all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: on a machine that others use too")
    parser.add_argument("--peer-groups", type=int, default=200, help="groups on which the slow sides are timed")
    parser.add_argument("--one-row", action="store_true", help="single rows instead of batches")
    parser.add_argument("--work", type=Path, default=WORK, help="where bundles are kept between runs")
    parser.add_argument("--profile", action="store_true", help="instead: where one call to predict spends its time")
    parser.add_argument("--json", type=Path, default=None, help="also write the results here")
    options = parser.parse_args()
    if unknown := [name for name in options.families if name not in FAMILIES]:
        parser.error(f"unknown families: {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    return options


def main() -> None:
    """Measure every combination and print."""
    options = arguments()
    results = []
    axes = itertools.product(options.families, options.groups, options.rows, options.traffic)
    for family, groups, rows, traffic in axes:
        work = workload(family, groups, rows, traffic, options.train_rows, options.work, distinct=options.distinct)
        if options.profile:
            profile(work, 2000 if options.one_row else 1, one_row=options.one_row)
        else:
            measured = one_row(work, options) if options.one_row else batch(work, options)
            results.append({**measured, "traffic": traffic})
    if results:
        show(results, options.json)


if __name__ == "__main__":
    main()
