"""The contests of a training's groups in a file of the bundle: a few numbers a candidate.

The next training takes them in, so that groups that are carried have a say in which candidate suits whom.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.bundle.array_files import proven_table
from metamodel.bundle.reader import Bundle
from metamodel.evaluation.pooled_selection import Contest

__all__ = ["CONTESTS_NAME", "read_contests", "write_contests"]

CONTESTS_NAME = "contests.parquet"


def write_contests(directory: Path, contests: Mapping[str, Contest]) -> None:
    """Write contests by encoded key into an unfinished bundle; no file where there are none."""
    if not contests:
        return
    keys = sorted(contests)
    texts = [json.dumps(contests[key].to_dict()) for key in keys]
    pq.write_table(pa.table({"key": keys, "contest": texts}), directory / CONTESTS_NAME, compression="zstd")


def read_contests(bundle: Bundle) -> dict[str, Contest]:
    """Read the contests of a bundle, by encoded key; empty where nothing was chosen."""
    if CONTESTS_NAME not in bundle.manifest.files:
        return {}
    with proven_table(bundle.path, CONTESTS_NAME, bundle.manifest.files) as content:
        table = pq.read_table(content).to_pydict()
        texts = zip(table["key"], table["contest"], strict=True)
        return {key: Contest.from_dict(json.loads(text)) for key, text in texts}
