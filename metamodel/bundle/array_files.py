"""Arrays in a bundle's files, mapped into memory: of the size, or with the very bytes, that the manifest names.

Tables in them are read whole, where there is memory for them.

A file holds one array, or several: each in a section, so that a bundle has few files, of which each is a request to a
server. A file is opened once for its proof and for what is read: by the next moment another bundle may stand in its
place.
"""

import hashlib
import io
import os
import tokenize
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from metamodel.bundle.manifest import FileEntry, read_proven
from metamodel.common.arrays import AnyArray
from metamodel.common.messages import short_line
from metamodel.exceptions import CorruptBundle
from metamodel.tables.parquet.opened_size import check_opened

__all__ = [
    "UNREADABLE",
    "OpenedFile",
    "Section",
    "last_write",
    "map_array",
    "proven_table",
    "read_section",
    "write_sections",
]

# As arrays are aligned in files of their own, behind their headers.
_ALIGNED = 64

_DAMAGED_HEADER = (OSError, EOFError, ValueError, TypeError, OverflowError, SyntaxError, tokenize.TokenError)

# What damaged arrays and tables, or a crafted description of them, can make of reading them.
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, pa.ArrowException)


@dataclass(frozen=True)
class Section:
    """Where an array is in a file; `sha256` of its bytes, or "" where something else proves what is read of it."""

    offset: int
    size: int
    sha256: str = ""


class OpenedFile:
    """A file of which arrays are mapped: who writes into it changes them, and what they had been proven to be.

    Another file that is put in its place changes nothing.

    Raises
    ------
    CorruptBundle
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        with _said_of(path):
            self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self._last_write = last_write(self._descriptor)

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody has written into the file since it was opened."""
        return last_write(self._descriptor) == self._last_write


def last_write(descriptor: int) -> tuple[int, int]:
    """Size of an open file, and when it was last written to."""
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def write_sections(
    path: Path, arrays: Mapping[str, AnyArray], proven: Mapping[str, AnyArray | bytes]
) -> dict[str, Section]:
    """Write arrays, and other bytes, one behind the other into a new file.

    Parameters
    ----------
    path
        The file.
    arrays
        Of which only the place is kept.
    proven
        Of which the digest is kept, too.
    """
    sections = {}
    with path.open("wb") as file:
        for name, values in {**arrays, **proven}.items():
            file.write(bytes(-file.tell() % _ALIGNED))
            offset, digest = file.tell(), ""
            if isinstance(values, bytes) or name in proven:
                content = values if isinstance(values, bytes) else _as_file(values)
                file.write(content)
                digest = hashlib.sha256(content).hexdigest()
            else:
                np.lib.format.write_array(file, values, version=(1, 0), allow_pickle=False)
            sections[name] = Section(offset, file.tell() - offset, digest)
    return sections


def _as_file(values: AnyArray) -> memoryview:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values, version=(1, 0), allow_pickle=False)
    return buffer.getbuffer()


def read_section(path: Path, entry: FileEntry | None, section: Section) -> bytes:
    """Read the bytes of a section, if they are what was written.

    Raises
    ------
    CorruptBundle
        The file is missing, or not what was written.
    """
    with _opened(path, entry) as file:
        return _proven(file, path, section)


@contextmanager
def proven_table(
    directory: Path, name: str, files: Mapping[str, FileEntry], columns: Collection[str] | None = None
) -> Iterator[pa.BufferReader]:
    """Hand out a Parquet file of a bundle, if it is what was written and there is memory for these columns of it.

    Whatever goes wrong inside the block is raised as damage of the file.

    Raises
    ------
    CorruptBundle
        It is not what was written, no table of this kind, or opens to half of the machine's memory or more.
    """
    content = read_proven(directory, name, files)
    try:
        check_opened(content, columns)
        yield pa.BufferReader(content)  # Arrow reads a file of Python's piece by piece, under its lock
    except (*UNREADABLE, RecursionError) as error:
        reason = short_line(" ".join(str(error).split()) or type(error).__name__)
        raise CorruptBundle(f"{directory / name} cannot be read ({reason}). Restore the bundle.") from error


def map_array(
    path: Path, entry: FileEntry | None, section: Section | None = None, *, proven: bool | None = None
) -> AnyArray:
    """Map an array into memory.

    Parameters
    ----------
    path
        A file that `numpy.save` wrote, or `write_sections`.
    entry
        What the manifest says of it; None where it does not know it.
    section
        Where the array is in it; by default it is all of it.
    proven
        Whether to read all of it now, and compare its digest, as is done where there is one. Else only the file's size
        is checked: a truncated file is never mapped, because reading behind its end would kill the process.

    Raises
    ------
    CorruptBundle
        The file is missing, or not what was written.
    """
    with _opened(path, entry) as file:
        whole = Section(0, os.fstat(file.fileno()).st_size, entry.sha256 if entry else "")
        place = section or whole
        if place.sha256 if proven is None else proven:
            _proven(file, path, place)
        file.seek(place.offset)
        if np.lib.format.read_magic(file) != (1, 0):
            raise CorruptBundle(f"{path} is not what was written: another kind of header. Restore the bundle.")
        shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
        if 0 in shape:  # nothing to map
            return np.empty(shape, dtype)
        start = file.tell()
        where = {"offset": start, "shape": shape, "order": "F" if columns_first else "C"}
        mapped: AnyArray = np.memmap(file, dtype, "r", **where)  # type: ignore[call-overload]  # the stubs want paths
        if start + mapped.nbytes > place.offset + place.size:
            raise CorruptBundle(f"{path} is not what was written: an array reaches into the next. Restore the bundle.")
    # A memmap object costs microseconds at every slice; a plain view of the same bytes does not.
    return np.asarray(mapped)


@contextmanager
def _opened(path: Path, entry: FileEntry | None) -> Iterator[BinaryIO]:
    with _said_of(path), path.open("rb") as file:
        if entry is None or os.fstat(file.fileno()).st_size != entry.size:
            raise CorruptBundle(f"{path} is not what was written: it has another size. Restore the bundle.")
        yield file


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED_HEADER as error:
        raise CorruptBundle(f"{path} cannot be read ({error!r}). Restore the bundle.") from error


def _proven(file: BinaryIO, path: Path, section: Section) -> bytes:
    file.seek(section.offset)
    content = file.read(section.size)
    if hashlib.sha256(content).hexdigest() != section.sha256:
        raise CorruptBundle(f"{path} is not what was written. Restore the bundle.")
    return content
