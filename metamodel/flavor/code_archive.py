"""The package itself as one file: a logged model takes its code along, and every file is a request to a server."""

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

__all__ = ["ARCHIVE_NAME", "write_code"]

# `model_code.py` looks for it, and cannot import this.
ARCHIVE_NAME = "metamodel.zip"

_PACKAGE = "metamodel"

# As on every system, whatever it is written on.
_UNIX, _READABLE = 3, 0o644 << 16

_COMPILED = ("__pycache__", ".pyc")


def write_code(directory: Path) -> tuple[Path, Path]:
    """Write what a logged model needs of this package, which may itself have come out of such an archive.

    Parameters
    ----------
    directory
        Where to write.

    Returns
    -------
    loader, archive
        The file that MLflow runs, and the package: the same bytes for the same code.
    """
    loader, archive = directory / "model_code.py", directory / ARCHIVE_NAME
    loader.write_bytes((files(f"{_PACKAGE}.flavor") / loader.name).read_bytes())
    archive.write_bytes(_packed())
    return loader, archive


@cache
def _packed() -> bytes:
    """Pack the package, once a process: it is a megabyte of 500 files, and a process that updates logs many models."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, source in sorted(_sources(files(_PACKAGE), _PACKAGE)):
            entry = zipfile.ZipInfo(name)  # the time of 1980, and not of the file
            entry.create_system, entry.external_attr, entry.compress_type = _UNIX, _READABLE, zipfile.ZIP_DEFLATED
            packed.writestr(entry, source)
    return buffer.getvalue()


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        inside = f"{name}/{entry.name}"
        if entry.name.endswith(_COMPILED):
            continue
        if entry.is_dir():
            yield from _sources(entry, inside)
        else:
            yield inside, entry.read_bytes()
