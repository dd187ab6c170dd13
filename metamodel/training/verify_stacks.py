"""Find out which children of a bundle can be stacked: each is loaded, read and compared, in several processes at once.

What passed travels from process to process as a file: were it sent, the results of many processes would pile up in the
memory of the one that gathers them.
"""

import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from metamodel.bundle.codecs import get_codec
from metamodel.bundle.manifest import Manifest
from metamodel.bundle.reader import SHARD_DIR
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shards import ShardRow
from metamodel.common.arrays import AnyArray
from metamodel.common.messages import error_text
from metamodel.common.progress import progress_bar
from metamodel.exceptions import WorkerDied
from metamodel.fitting.array_fits import answers_of
from metamodel.prediction.stacks.verification import Proven, Prover
from metamodel.tables.features import FeatureSchema
from metamodel.training.alike_children import answers_of_alike
from metamodel.training.engines.joblib_pool import in_processes, process_count

__all__ = ["Part", "parts_of", "prove", "proven_children"]

# Encoded key → real rows of its group to compare on; None where there are none.
RowsOf = Callable[[str], AnyArray | None]

# Children that one process takes at a time.
_PART_CHILDREN = 200

# Of children that take so few bytes each, as linear ones do, it takes more.
_PART_SMALL_CHILDREN, _TINY = 1000, 2**11

# Below this many seconds of work other processes are not worth their start. A child takes about as long as a linear one
# whatever it is, and then time by its size, compressed.
_WORTH_SECONDS = 2.0

_CHILD_SECONDS, _MEGABYTE_SECONDS = 0.00025, 0.15

# Where children are read and asked many at a time.
_ALIKE_SECONDS = 0.00005

# Bytes of a child that may be read with others at a time.
_SMALL = 2**16

_KILLED = "the process that read it was killed (out of memory, or a crash in native code)"


@dataclass(frozen=True)
class Part:
    """Some children of a shard.

    Attributes
    ----------
    shard, keys
        The file, and the encoded keys.
    features, classes, codec
        As in the manifest.
    end
        When the last child may be read, a point of the monotonic clock.
    samples
        Encoded key → rows to compare on; filled when the part's turn has come.
    """

    shard: Path
    keys: tuple[str, ...]
    features: FeatureSchema
    classes: tuple[Any, ...]
    codec: str
    end: float
    samples: dict[str, AnyArray | None] = field(default_factory=dict)

    def with_rows(self, rows_of: RowsOf) -> "Part":
        """Give it the rows to compare on."""
        return replace(self, samples={key: rows_of(key) for key in self.keys})


def parts_of(directory: Path, manifest: Manifest, end: float) -> list[Part]:
    """Cut the children of all shards of a bundle into parts, in the order of the shards."""
    classes, parts = manifest.target.classes, []
    for path in sorted((directory / SHARD_DIR).glob("*.sqlite")):
        keys = list(ShardReader(path).keys())
        step = _PART_SMALL_CHILDREN if path.stat().st_size < _TINY * len(keys) else _PART_CHILDREN
        for start in range(0, len(keys), step):
            mine = tuple(keys[start : start + step])
            parts.append(Part(path, mine, manifest.features, classes, manifest.codec, end))
    return parts


def proven_children(
    parts: Sequence[Part], rows_of: RowsOf, refused: dict[str, str], n_jobs: int, scratch: Path
) -> Iterator[list[Proven]]:
    """Compare the children of all parts with what is read off them.

    Parameters
    ----------
    parts
        From `parts_of`.
    rows_of
        Gives the rows to compare on.
    refused
        Encoded key → why this child cannot be stacked; added to.
    n_jobs
        Processes, where there is work for several; -1 for one a core.
    scratch
        A folder for what travels between processes.

    Yields
    ------
    list of Proven
        Children that passed, in the order of the parts, and no more at a time than fit into memory.

    Raises
    ------
    CorruptBundle
        A shard, or a child in it, is damaged.
    """
    processes = _processes(parts, n_jobs)
    with progress_bar(sum(len(part.keys) for part in parts), "stacking") as bar:
        for part in parts if processes == 1 else ():
            yield from prove(part.with_rows(rows_of), refused)
            bar.update(len(part.keys))
        for part, file in _in_processes(parts, rows_of, refused, processes, scratch) if processes > 1 else ():
            yield from _read(file)
            bar.update(len(part.keys))


def prove(part: Part, refused: dict[str, str]) -> Iterator[list[Proven]]:
    """Do as `proven_children` does with one part, in this process."""
    prover, codec = Prover(part.features, part.classes, refused), get_codec(part.codec)
    shard = ShardReader(part.shard)
    takes_arrays = _takes_arrays(part)
    for rows in _batches(shard.rows(keys=_comparable(part, refused))):
        samples = {row.key: np.asarray(part.samples[row.key]) for row in rows}
        answered = answers_of_alike(rows, samples, codec) if takes_arrays else {}
        for row in rows:
            if row.key in answered:
                child = answered[row.key]
                prover.add_answered(Proven(row.key, row.sha256, child.form), child.x, child.predicted, None)
            else:
                try:
                    child = codec.loads(row.child or b"")
                except Exception as error:  # noqa: BLE001 - a codec raises whatever the child's own code raises
                    refused[row.key] = f"cannot be loaded: {error_text(error)}"
                    continue
                prover.add(row.key, row.sha256, child, samples[row.key])
            if prover.full:
                yield prover.proven()
    yield prover.proven()


def _takes_arrays(part: Part) -> bool:
    return part.features.layout == "array" and part.features.matrix_dtype == np.float64


def _batches(rows: Iterable[ShardRow]) -> Iterator[list[ShardRow]]:
    """Gather small children; a large one comes by itself, so that memory stays bounded."""
    batch: list[ShardRow] = []
    for row in rows:
        batch.append(row)
        if row.size > _SMALL:
            yield batch
            batch = []
    if batch:
        yield batch


def _comparable(part: Part, refused: dict[str, str]) -> Iterator[str]:
    for key, sample in part.samples.items():
        if time.monotonic() > part.end:
            refused[key] = "no time left in the budget"
        elif sample is None:
            refused[key] = "no rows to compare on"
        else:
            yield key


def _processes(parts: Sequence[Part], n_jobs: int) -> int:
    children = sum(len(part.keys) for part in parts)
    size = sum(path.stat().st_size for path in {part.shard for part in parts})
    each = _ALIKE_SECONDS if parts and _begins_alike(parts[0]) else _CHILD_SECONDS
    seconds = children * each + size / 2**20 * _MEGABYTE_SECONDS
    # On Spark, n_jobs counts tasks of the cluster, and this machine may have fewer cores.
    return min(process_count(n_jobs), process_count(-1), len(parts)) if seconds > _WORTH_SECONDS else 1


def _begins_alike(part: Part) -> bool:
    """Whether the first child is one of those that are read many at a time."""
    row = ShardReader(part.shard).read(part.keys[0])
    try:
        child = get_codec(part.codec).loads(row.child or b"") if row is not None and row.size <= _SMALL else None
    except Exception:  # noqa: BLE001 - a codec raises whatever the child's own code raises; it will be told later
        return False
    return _takes_arrays(part) and answers_of(child) is not None


def _in_processes(
    parts: Sequence[Part], rows_of: RowsOf, refused: dict[str, str], processes: int, scratch: Path
) -> Iterator[tuple[Part, Path]]:
    """Yield each part with the file that holds what passed of it."""
    files = [scratch / f"{i:06d}.pickle" for i in range(len(parts))]
    work = ((part.with_rows(rows_of), file) for part, file in zip(parts, files, strict=True))
    done = 0
    try:
        for of_part in in_processes(_write, work, processes):
            refused |= of_part
            done += 1
            yield parts[done - 1], files[done - 1]
    except WorkerDied:
        # All processes ended with it. What is left is done one part at a time, so that it is known whose fault it is.
        for part, file in zip(parts[done:], files[done:], strict=True):
            try:
                refused |= next(in_processes(_write, [(part.with_rows(rows_of), file)], processes))
            except WorkerDied:
                file.write_bytes(b"")
                refused |= dict.fromkeys(part.keys, _KILLED)
            yield part, file


def _write(part: Part, file: Path) -> dict[str, str]:
    """Leave what passed of a part in a file; returns who was refused, and why."""
    refused: dict[str, str] = {}
    with file.open("wb") as written:
        for proven in prove(part, refused):
            pickle.dump(proven, written, protocol=pickle.HIGHEST_PROTOCOL)
    return refused


def _read(file: Path) -> Iterator[list[Proven]]:
    with file.open("rb") as written:
        while written.peek(1):
            yield pickle.load(written)
    file.unlink()
