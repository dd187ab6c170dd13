"""Stacks on disk: arrays that are memory-mapped, and the keys of the children in them.

``stacks/00000.arrays`` holds the arrays of one stack; beside those that its program computes with, ``versions``,
``index`` (where each key's child is), ``digests`` (of blocks of children), and ``keys`` (encoded key of each child, in
order). The rest stands in the manifest, with the place of each array.
Opening reads none of them. What answers is proven intact before it does; the child of a group whose numbers are not
answers in their place.
"""

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.bundle.array_files import UNREADABLE, OpenedFile, Section, map_array, read_section, write_sections
from metamodel.bundle.key_index import KeyPlaces, key_index
from metamodel.bundle.manifest import FileEntry, Manifest
from metamodel.bundle.stack_digests import Blocks, block_digests, block_size
from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.messages import count
from metamodel.exceptions import CorruptBundle, InvalidKey
from metamodel.prediction.stacks import BuiltStack, load_program, warm_up
from metamodel.prediction.stacks.key_list import KeyList
from metamodel.tables.keys import GroupKey, decode_keys
from metamodel.tables.parquet.opened_size import check_opened

__all__ = ["STACK_DIR", "StoredStack", "import_for_children", "open_stacks", "write_stack"]

STACK_DIR = "stacks"

_ENDING, _KEYS = ".arrays", "keys"

# From here on it is faster to read all keys once than to find these one by one.
_MANY_KEYS = 256

_VERSION_CHARACTERS = 12

# Where most children are defined.
_OF_CHILDREN = ("sklearn.linear_model", "sklearn.ensemble", "sklearn.impute", "sklearn.pipeline")

_UNREADABLE = (CorruptBundle, *UNREADABLE)


def write_stack(directory: Path, number: int, stack: BuiltStack) -> dict[str, Any]:
    """Write a stack into an unfinished bundle; returns what the manifest has to say of it."""
    (directory / STACK_DIR).mkdir(exist_ok=True)
    name, program, n_children = f"{STACK_DIR}/{number:05d}", stack.program, len(stack.keys)
    versions = np.array(stack.versions, dtype=f"S{_VERSION_CHARACTERS}")
    size = block_size(sum(values.nbytes for values in program.arrays.values()), n_children)
    digests = block_digests(_Parts(program, versions), n_children, size)
    keys = pa.BufferOutputStream()
    pq.write_table(pa.table({"key": stack.keys}), keys)
    sections = write_sections(
        directory / f"{name}{_ENDING}",
        {**program.arrays, "versions": versions},
        {"index": key_index(stack.keys), "digests": digests, _KEYS: keys.getvalue().to_pybytes()},
    )
    described = {"family": program.family, "name": name, "arrays": sorted(program.arrays)}
    places = {array: asdict(section) for array, section in sections.items()}
    return {**described, "sections": places, "children": n_children, "block": size, **program.describe()}


def open_stacks(directory: Path, manifest: Manifest) -> list["StoredStack"]:
    """Open the stacks of a bundle without reading them, with what answering needs: no request waits for an import.

    Kernels are compiled, and scikit-learn is imported where some groups are left to their children. Where stacks answer
    all groups, it is imported with the first child that is asked for after all, or by who calls `import_for_children`.
    """
    if manifest.pooled is not None or _stacked(manifest) < manifest.children:
        import_for_children()
    for family in {str(description.get("family")) for description in manifest.stacks}:
        warm_up(family)
    return [StoredStack(directory, description, manifest.files) for description in manifest.stacks]


def import_for_children() -> None:
    """Import what children need, so that the first row which a stack leaves to its child does not wait for it."""
    for module in _OF_CHILDREN:
        import_module(module)


def _stacked(manifest: Manifest) -> int:
    """How many children stacks hold, as far as the manifest can be understood."""
    numbers = [description.get("children") for description in manifest.stacks]
    return sum(number for number in numbers if isinstance(number, int))


class _Parts:
    """All that the answers of a range of children are computed from."""

    def __init__(self, program: Any, versions: AnyArray) -> None:
        self._program = program
        self._versions = versions

    def __call__(self, start: int, stop: int) -> Iterator[AnyArray]:
        yield from self._program.parts(start, stop)
        yield self._versions[start:stop]


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
        self._name = str(description.get("name"))
        self._files = files
        self._read = self._warned = self._list_read = False
        self._program: Any = None
        self._file: OpenedFile | None = None
        self._blocks: Blocks | None = None
        self._places = KeyPlaces(np.empty((3, 0), dtype=np.uint64))
        self._list: KeyList | None = None
        self._versions: AnyArray = np.empty(0, dtype="S1")

    @property
    def damaged(self) -> int:
        """Children that are left to themselves because their numbers here are damaged, as far as that is known."""
        if self._read and (self._program is None or self._has_changed()):
            return int(self._description.get("children", 0))
        return 0 if self._blocks is None else self._blocks.damaged

    def damaged_keys(self) -> list[str]:
        """Read everything; encoded keys of the children whose numbers are not what was written."""
        self._load()
        try:
            keys = self._read_keys()
        except _UNREADABLE:  # a damaged file, which `Bundle.damaged_files` names
            return []
        return keys if self._blocks is None else [keys[i] for i in self._blocks.damaged_positions().tolist()]

    def only(self, keys: Collection[str]) -> BuiltStack | None:
        """Gather the numbers of some children, as far as they are what was written; None where there are none."""
        self._load()
        if self._blocks is None:
            return None
        every = self._read_keys()
        there = np.array([i for i, key in enumerate(every) if key in keys], dtype=np.int64)
        positions = there[self._blocks.intact(there)] if len(there) else there
        if not len(positions):
            return None
        versions = self._versions[positions].astype(str).tolist()
        gathered = BuiltStack(self._program.take(positions), [every[i] for i in positions.tolist()], versions)
        return None if self._has_changed() else gathered

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer calls with, or without, probabilities."""
        self._load()
        return self._program is not None and not self._has_changed() and bool(self._program.takes(proba=proba))

    def positions(self, keys: Sequence[GroupKey | InvalidKey]) -> IntArray:
        """Where each key's child is in the stack; -1 where it is not, or is not what was written."""
        if len(keys) > _MANY_KEYS and (listed := self._listed()) is not None:
            return self._proven(listed.positions(keys))
        places = self._places.remembered(keys)
        if places is None:
            places = self._proven(self._places.search(keys))
            self._places.remember(keys, places)
        return places

    def versions(self, positions: IntArray) -> AnyArray:
        """Versions of children."""
        return self._versions.take(positions).astype(str).astype(object)

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Evaluate rows; see `metamodel.prediction.stacks.linear.LinearProgram.answer`."""
        labels, probabilities, answered = self._program.answer(columns, positions, proba=proba)
        if self._has_changed():  # in the meantime: none of it counts
            answered = np.zeros(len(positions), dtype=bool)
        return labels, probabilities, answered

    def _has_changed(self) -> bool:
        """Whether somebody has written into the mapped file: its numbers are others than those that were proven."""
        if self._file is None or self._file.is_unchanged:
            return False
        self._warn("it was changed after it was opened")
        return True

    def _proven(self, positions: IntArray) -> IntArray:
        blocks, here = self._blocks, positions >= 0
        if blocks is None or not here.any():
            return positions
        intact = blocks.intact(positions[here])
        if not intact.all():
            positions[here] = np.where(intact, positions[here], -1)
            self._warn(f"the numbers of {count(blocks.damaged, 'group')} are not what was written")
        return positions

    def _listed(self) -> KeyList | None:
        """Give all keys; reads them once."""
        if not self._list_read:
            try:
                self._list = KeyList(decode_keys(self._read_keys()))
            except _UNREADABLE as error:  # they are found one by one, then
                self._warn(str(error))
            self._list_read = True
        return self._list

    def _load(self) -> None:
        # Without a lock, which a fork could leave locked: two threads at once read the same twice, and nothing is lost.
        if self._read:
            return
        try:
            opened = OpenedFile(self._path)
            arrays = {array: self._map(array) for array in self._description["arrays"]}
            digests = self._map("digests")
            places, self._versions = KeyPlaces(self._map("index")), self._map("versions")
            program, size = load_program(self._description, arrays), int(self._description["block"])
            n_children = int(self._description["children"])
            self._blocks = Blocks(_Parts(program, self._versions), n_children, size, digests)
            self._places, self._program, self._file = places, program, opened
        except _UNREADABLE as error:
            self._warn(str(error) if isinstance(error, CorruptBundle | OSError) else repr(error))
        self._read = True

    def _map(self, array: str) -> AnyArray:
        return map_array(*self._place(array))

    def _read_keys(self) -> list[str]:
        content = read_section(*self._place(_KEYS))
        check_opened(content)
        keys: list[str] = pq.read_table(pa.BufferReader(content))["key"].to_pylist()
        return keys

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._name}{_ENDING}"

    def _place(self, array: str) -> tuple[Path, FileEntry | None, Section]:
        entry = self._files.get(f"{self._name}{_ENDING}")
        return self._path, entry, Section(**self._description["sections"][array])

    def _warn(self, problem: str) -> None:
        if self._warned:
            return
        self._warned = True
        warnings.warn(
            f"Stack {self._name} of {self._directory.name} is damaged: {problem}. Their children answer instead, more "
            "slowly. Restore the bundle.",
            RuntimeWarning,
            stacklevel=2,
        )
