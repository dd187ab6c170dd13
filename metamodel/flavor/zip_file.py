"""One file that holds a logged meta-model: written, and unpacked without trusting what it says.

A packed model may come from anywhere. Before the first byte is written, every name must lie inside the directory, the
files of the bundle must be those that its manifest lists, with their sizes, and the rest must be small: so neither a
path that leads out nor a few kilobytes that grow into terabytes get onto the disk.
"""

import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from metamodel.bundle.manifest import MANIFEST_DIGEST_NAME, MANIFEST_NAME, Manifest
from metamodel.common.messages import listing
from metamodel.common.temp_dirs import scratch_directory
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import InputError, MetaModelError

__all__ = ["pack_directory", "unpack", "unpacked_for_good"]

_REMEDY = "Make one with metamodel pack --zip."

# Everything that is not the bundle: MLmodel, the package's code, the input example.
_LARGEST_REST = 64 * 2**20

_MOST_FILES = 100_000

# What `pack_directory` writes, and no others: each has errors, and bombs, of its own.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)


def pack_directory(directory: Path, target: Path) -> None:
    """Write the files of a logged model into one file, which appears when it is complete.

    Parameters
    ----------
    directory
        The logged model.
    target
        File to write.
    """
    with (
        whole_file(target) as unfinished,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
    ):
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            packed.write(path, path.relative_to(directory).as_posix())


def unpack(file: str | Path, directory: Path) -> None:
    """Unpack what `pack_directory` wrote.

    Parameters
    ----------
    file
        The packed model.
    directory
        An existing directory, which gets the logged model's files.

    Raises
    ------
    InputError
        The file is no zip file, or holds anything but a packed meta-model; then nothing was written. Or it is damaged:
        then what was written before is of no use.
    """
    with _opened(file) as packed:
        entries = packed.infolist()
        if problem := _problem(packed, entries, shutil.disk_usage(directory).free):
            raise InputError(f"{file} is not unpacked: {problem}. {_REMEDY}")
        for entry in entries:
            target = directory / entry.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            # zipfile reads no more than the size that was checked, and compares the check sum.
            with packed.open(entry) as source, target.open("xb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def unpacked_for_good(file: str | Path, parent: Path | None = None) -> Path:
    """Unpack a file into a new directory, and return it.

    Parameters
    ----------
    file
        The packed model.
    parent
        Where to make the directory. None: in the system's temporary directory, until this process ends.

    Raises
    ------
    InputError
        As `unpack`; no directory stays behind.
    """
    directory = scratch_directory("zip") if parent is None else Path(tempfile.mkdtemp(prefix="model-", dir=parent))
    try:
        unpack(file, directory)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory


@contextmanager
def _opened(file: str | Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as packed:
            yield packed
    except MetaModelError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{file} is no zip file that can be read ({error}). {_REMEDY}") from error


def _problem(packed: zipfile.ZipFile, entries: list[zipfile.ZipInfo], free: int) -> str:
    """Say what is wrong with the contents, or ""."""
    if len(entries) > _MOST_FILES:
        return f"it holds {len(entries):,} files"
    if odd := [entry.filename for entry in entries if not _is_plain(entry)]:
        return f"it holds what is no file inside a model ({listing(map(repr, odd), 3)})"
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) < len(entries):
        return "it holds two files of one name"
    manifests = [name for name in sizes if PurePosixPath(name).match(f"artifacts/*/{MANIFEST_NAME}")]
    if len(manifests) != 1:
        return f"it holds {len(manifests)} bundles, and a packed model holds one"
    return _wrong_sizes(packed, manifests[0], sizes) or (
        f"it needs {sum(sizes.values()):,} bytes, and {free:,} are free" if sum(sizes.values()) > free else ""
    )


def _wrong_sizes(packed: zipfile.ZipFile, manifest: str, sizes: dict[str, int]) -> str:
    bundle = manifest.removesuffix(MANIFEST_NAME)
    own = {manifest, f"{bundle}{MANIFEST_DIGEST_NAME}"}
    rest = sum(size for name, size in sizes.items() if not name.startswith(bundle) or name in own)
    if rest > _LARGEST_REST:
        return f"its files beside the bundle have {rest:,} bytes, more than {_LARGEST_REST:,}"
    text = packed.read(manifest).decode("utf-8", errors="replace")
    expected = {f"{bundle}{name}": entry.size for name, entry in Manifest.from_json(text, manifest).files.items()}
    found = {name: size for name, size in sizes.items() if name.startswith(bundle) and name not in own}
    if wrong := sorted(name for name, _ in expected.items() ^ found.items()):
        return f"its manifest does not list these files with these sizes ({listing(dict.fromkeys(wrong), 3)})"
    return ""


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is an ordinary file inside the directory, whatever system reads its name."""
    # Without backslashes and colons, Windows reads a name as other systems do.
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    inside = not name.startswith("/") and not set(name) & {"\\", ":"} and ".." not in PurePosixPath(name).parts
    plain = inside and bool(name.strip("./ ")) and not entry.is_dir() and kind in (0, stat.S_IFREG)
    return plain and entry.compress_type in _COMPRESSIONS
