"""Stacks on disk: arrays that are memory-mapped, and the keys of the children in them.

``stacks/00000.<array>.npy`` and ``stacks/00000.keys.parquet`` (encoded key and version of each child, in order); the
rest stands in the manifest. A stack is read when the first row wants it. One that is not what was written is left
aside with a warning: the children give the same answers.
"""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metamodel.exceptions import CorruptBundle, InvalidKey
from metamodel.frames import AnyArray, IntArray
from metamodel.keys import GroupKey, decode_keys
from metamodel.manifest import FileEntry, Manifest
from metamodel.stacking import BuiltStack, load_program, prepare

__all__ = ["StoredStack", "open_stacks", "write_stacks"]

_DIRECTORY = "stacks"
# From here on Arrow finds text keys an order of magnitude faster than a dict, which waits for memory at every key.
_MANY_KEYS = 256


def write_stacks(directory: Path, stacks: Iterable[BuiltStack]) -> list[dict[str, Any]]:
    """Write stacks into an unfinished bundle; returns what the manifest has to say of them."""
    described = []
    for number, stack in enumerate(stacks):
        (directory / _DIRECTORY).mkdir(exist_ok=True)
        name = f"{_DIRECTORY}/{number:05d}"
        for array, values in stack.program.arrays.items():
            np.save(directory / f"{name}.{array}.npy", values)
        pq.write_table(pa.table({"key": stack.keys, "version": stack.versions}), directory / f"{name}.keys.parquet")
        arrays = sorted(stack.program.arrays)
        described.append({"family": stack.program.family, "name": name, "arrays": arrays, **stack.program.describe()})
    return described


def open_stacks(directory: Path, manifest: Manifest) -> list["StoredStack"]:
    """Open the stacks of a bundle that this release knows; costs a look at the sizes of their files."""
    stacks = [StoredStack(directory, description, manifest.files) for description in manifest.stacks]
    for family in {str(description.get("family")) for description in manifest.stacks}:
        prepare(family)
    return [stack for stack in stacks if stack.is_sound()]


class StoredStack:
    """A stack in a bundle; safe to share between threads.

    Parameters
    ----------
    directory
        The bundle's directory.
    description
        The manifest's entry.
    files
        The manifest's files.
    """

    def __init__(self, directory: Path, description: dict[str, Any], files: dict[str, FileEntry]) -> None:
        self._directory = directory
        self._description = description
        name = str(description.get("name"))
        self._arrays = {str(array): f"{name}.{array}.npy" for array in description.get("arrays", ())}
        self._keys = f"{name}.keys.parquet"
        self._entries = {file: files.get(file) for file in (*self._arrays.values(), self._keys)}
        self._read = False
        self._program: Any = None
        self._positions: dict[Any, int] = {}
        self._texts: pa.Array | None = None
        self._versions: AnyArray = np.empty(0, dtype=object)

    def is_sound(self) -> bool:
        """Whether its files have the sizes that were written; warns where they have not."""
        for file, entry in self._entries.items():
            path = self._directory / file
            if entry is None or not path.is_file() or path.stat().st_size != entry.size:
                self._warn(f"{file} is missing or has another size")
                return False
        return True

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer calls with, or without, probabilities."""
        self._load()
        return self._program is not None and bool(self._program.takes(proba=proba))

    def positions(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Where each key's child is in the stack; -1 where it is not."""
        if len(keys) > _MANY_KEYS and self._texts is not None:
            with contextlib.suppress(TypeError, pa.ArrowInvalid):  # an invalid key among them: one by one, below
                texts = pa.array([key[0] for key in keys], type=pa.string())  # type: ignore[index]  # or a TypeError
                return np.asarray(pc.index_in(texts, self._texts).fill_null(-1)).astype(np.int64)
        get = self._positions.get
        return np.fromiter((get(key, -1) for key in keys), dtype=np.int64, count=len(keys))

    def versions(self, positions: IntArray) -> AnyArray:
        """Versions of children."""
        return self._versions.take(positions)

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Evaluate rows; see `metamodel.stacking.linear.LinearProgram.answer`."""
        answers: tuple[AnyArray, AnyArray | None, AnyArray | None] = self._program.answer(
            columns, positions, proba=proba
        )
        return answers

    def _load(self) -> None:
        # Without a lock, which a fork could leave locked: two threads at once read the same twice, and nothing is lost.
        if self._read:
            return
        try:
            self._check_digests()
            table = pq.read_table(self._directory / self._keys)
            self._versions = np.array([version[:12] for version in table["version"].to_pylist()], dtype=object)
            keys = decode_keys(table["key"].to_pylist())
            if all(len(key) == 1 and isinstance(key[0], str) for key in keys):
                self._texts = pa.array([key[0] for key in keys], type=pa.string())
            self._positions = {key: i for i, key in enumerate(keys)}
            self._program = load_program(self._description, dict(self._maps()))
        except (CorruptBundle, OSError, ValueError, KeyError) as error:
            self._warn(str(error))
        self._read = True

    def _maps(self) -> Iterator[tuple[str, AnyArray]]:
        for array, file in self._arrays.items():
            # A memmap object costs microseconds at every slice; a plain view of the same bytes does not.
            yield array, np.asarray(np.load(self._directory / file, mmap_mode="r"))

    def _check_digests(self) -> None:
        for file, entry in self._entries.items():
            if FileEntry.of(self._directory / file) != entry:
                raise CorruptBundle(f"{file} is not what was written")

    def _warn(self, problem: str) -> None:
        warnings.warn(
            f"A stack of {self._directory.name} is left aside: {problem}. The children answer instead, more slowly. "
            "Restore the bundle.",
            RuntimeWarning,
            stacklevel=2,
        )
