"""What compressing the children of a shard gains and costs: size, writing, and reading cold and warm.

    python benchmarks/compression.py --families ridge,forest,hist_gradient_boosting --children 5000

Every form is written to a shard of its own. "Cold" reads follow each other at random after the file's pages were given
back to the system (`posix_fadvise`), each a child of its own; "warm" reads the same children again. Both include what
follows the read: checking the digest of what is stored, and decompressing. Unpickling is the same for all forms and
stands beside them. Dictionaries are trained on children that are not among those written.
"""

import argparse
import os
import pickle
import random
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard
from measuring import show
from predict import WORK
from workloads import DISTINCT, bundle

from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow

_READS = 2000
# zlib looks back 32 KB and no further.
_ZLIB_WINDOW = 32 * 1024
_ZSTD_DICTIONARY = 64 * 1024


def forms(blobs: list[bytes]) -> dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]]:
    """Ways to write a child, each with its way back."""
    plain, back = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    trained = zstandard.train_dictionary(_ZSTD_DICTIONARY, blobs)
    trained.precompute_compress(level=3)
    small, of_small = zstandard.ZstdCompressor(dict_data=trained), zstandard.ZstdDecompressor(dict_data=trained)
    examples = b"".join(blobs)[-_ZLIB_WINDOW:]

    def deflate(blob: bytes) -> bytes:
        compressor = zlib.compressobj(zdict=examples)
        return compressor.compress(blob) + compressor.flush()

    def inflate(blob: bytes) -> bytes:
        return zlib.decompressobj(zdict=examples).decompress(blob)

    return {
        "as they are": (bytes, bytes),
        "zlib, examples": (deflate, inflate),
        "zstd": (plain.compress, back.decompress),
        "zstd, dictionary": (small.compress, of_small.decompress),
    }


def measure(family: str, children: int, root: Path) -> Iterator[dict[str, Any]]:
    """Write and read the children of one family in every form."""
    path = next((bundle(family, DISTINCT, 30, root) / "shards").iterdir())
    distinct = [row.child or b"" for row in ShardReader(path).fitted()]
    examples, others = distinct[::2], distinct[1::2]
    blobs = [others[i % len(others)] for i in range(children)]
    started = time.perf_counter()
    for blob in blobs[:_READS]:
        pickle.loads(blob)
    unpickle = (time.perf_counter() - started) / min(_READS, children)
    with tempfile.TemporaryDirectory(dir=root) as directory:
        for name, (there, back) in forms(examples).items():
            shard = Path(directory) / f"{name}.sqlite"
            started = time.perf_counter()
            with ShardWriter(shard) as writer:
                for i, blob in enumerate(blobs):
                    writer.add(ShardRow.of_child(f'["{i}"]', 1, "", there(blob), resident=1))
            written = time.perf_counter() - started
            cold, warm = (_read(shard, children, back) for _ in range(2))
            row = {"family": family, "children": children, "form": name, "MB": shard.stat().st_size / 2**20}
            row |= {"write us": written / children * 1e6, "cold us": cold * 1e6, "warm us": warm * 1e6}
            yield {**row, "unpickle us": unpickle * 1e6}


def _read(shard: Path, children: int, back: Callable[[bytes], bytes]) -> float:
    """Seconds for each of many reads at random; the first time the file is not in memory."""
    if not (shard.parent / f"{shard.name}.was-read").exists():
        (shard.parent / f"{shard.name}.was-read").touch()
        file = os.open(shard, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
    keys = [f'["{i}"]' for i in random.Random(0).sample(range(children), min(_READS, children))]
    reader = ShardReader(shard)
    started = time.perf_counter()
    for key in keys:
        row = reader.read(key)
        back(row.child or b"")  # type: ignore[union-attr]
    return (time.perf_counter() - started) / len(keys)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["ridge", "scaler_ridge", "logistic", "mixed_pipeline", "forest", "hist_gradient_boosting", "xgboost"]
    parser.add_argument("--families", type=lambda text: text.split(","), default=names)
    parser.add_argument("--children", type=int, default=5000)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = [row for family in options.families for row in measure(family, options.children, options.work)]
    show(rows, options.json)


if __name__ == "__main__":
    main()
