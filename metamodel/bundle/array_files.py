"""Arrays in a bundle's files, mapped into memory: of the size, or with the very bytes, that the manifest names.

A file is opened once for its proof and for what is read: by the next moment another bundle may stand in its place.
"""

import hashlib
import os
import tokenize
from pathlib import Path

import numpy as np

from metamodel.bundle.manifest import FileEntry
from metamodel.common.arrays import AnyArray
from metamodel.exceptions import CorruptBundle

__all__ = ["map_array"]

_DAMAGED_HEADER = (OSError, EOFError, ValueError, TypeError, OverflowError, SyntaxError, tokenize.TokenError)


def map_array(path: Path, entry: FileEntry | None, *, proven: bool = True) -> AnyArray:
    """Map an array into memory.

    Parameters
    ----------
    path
        A file that `numpy.save` wrote.
    entry
        What the manifest says of it; None where it does not know it.
    proven
        Whether to read all of it now, and compare its digest. Else only its size is checked: a truncated file is never
        mapped, because reading behind its end would kill the process.

    Raises
    ------
    CorruptBundle
        The file is missing, or not what was written.
    """
    try:
        with path.open("rb") as file:
            if entry is None or os.fstat(file.fileno()).st_size != entry.size:
                raise CorruptBundle(f"{path} is not what was written: it has another size. Restore the bundle.")
            if proven and hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                raise CorruptBundle(f"{path} is not what was written. Restore the bundle.")
            file.seek(0)
            if np.lib.format.read_magic(file) != (1, 0):
                raise CorruptBundle(f"{path} is not what was written: another kind of header. Restore the bundle.")
            shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
            if 0 in shape:  # nothing to map
                return np.empty(shape, dtype)
            place = {"offset": file.tell(), "shape": shape, "order": "F" if columns_first else "C"}
            mapped: AnyArray = np.memmap(file, dtype, "r", **place)  # type: ignore[call-overload]  # the stubs want paths
    except _DAMAGED_HEADER as error:
        raise CorruptBundle(f"{path} cannot be read ({error!r}). Restore the bundle.") from error
    # A memmap object costs microseconds at every slice; a plain view of the same bytes does not.
    return np.asarray(mapped)
