"""Write a bundle: everything under another name first, and the manifest with all digests at the very end."""

import os
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from metamodel.bundle.key_index import key_index
from metamodel.bundle.manifest import MANIFEST_DIGEST_NAME, MANIFEST_NAME, FileEntry, Manifest, write_manifest
from metamodel.bundle.reader import KEYS_NAME, LEDGER_NAME, POOLED_DIR, SHARD_DIR
from metamodel.bundle.references import REFERENCE_DIR
from metamodel.bundle.shard_reader import ShardReader
from metamodel.bundle.shard_writer import ShardWriter, compress_shard, drop_children, forget_groups, seal_shard
from metamodel.common.background import Background
from metamodel.common.user_cache import check_own
from metamodel.exceptions import AllGroupsFailed, InputError
from metamodel.tables.arrow import write_parquet

__all__ = [
    "ShardMerger",
    "add_pooled",
    "finish_bundle",
    "library_versions",
    "new_bundle",
    "prune_children",
    "refuse_foreign",
]

# One shard is one upload. Above this, the next shard begins.
_SHARD_BYTES = 2 * 2**30


def library_versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the installed packages among `packages`."""
    versions = {package: found for package in packages if (found := _version_at_first(package)) is not None}
    return {"python": ".".join(map(str, sys.version_info[:3])), **versions}


@cache
def _version_at_first(package: str) -> str | None:
    """Look a version up once a process: what is installed in its place later, this process has not loaded."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def new_bundle(path: Path) -> Iterator[tuple[Path, Path]]:
    """Write a bundle's files in a work directory beside `path`, and put it there when all went well.

    The work directory outlives a process that is killed, so that the same call can go on with what was done. An error
    that would come again (bad input, all groups failed) takes it away.

    Parameters
    ----------
    path
        Where the bundle shall stand. An older bundle there is replaced in the last moment; anything else is refused.

    Yields
    ------
    directory, tasks : tuple of Path
        The unfinished bundle, with an empty folder for shards; and a folder for what tasks leave behind.

    Raises
    ------
    InputError
        Something else than a bundle stands at `path`, or another process is writing there.
    """
    refuse_foreign(path)
    work = path.with_name(f".{path.name}.work")
    lock = _lock(work, path)
    directory, tasks, old = work / "bundle", work / "tasks", work / "old"
    try:
        if old.exists() and not path.exists():
            old.rename(path)  # the last process was killed between two renames
        shutil.rmtree(directory, ignore_errors=True)
        (directory / SHARD_DIR).mkdir(parents=True)
        tasks.mkdir(exist_ok=True)
        yield directory, tasks
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        directory.rename(path)
        _remove(work, lock)
    except (InputError, AllGroupsFailed):
        _remove(work, lock)
        raise
    finally:
        lock.release()


def refuse_foreign(path: Path) -> None:
    """Raise `InputError` where something else than a bundle stands at `path`."""
    if path.exists() and not (path / MANIFEST_NAME).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists and is no bundle. Name another output directory, or empty this one.")


def _lock(work: Path, path: Path) -> FileLock:
    """Claim the work directory for this process until it ends, however it ends."""
    with suppress(FileExistsError):  # a file in the way is told by what follows: "Not a directory"
        path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        work.mkdir(mode=0o700)
    try:
        check_own(work)  # what lies in it is gone on with
    except PermissionError as error:
        raise InputError(f"{error}. Take it away, or name another output directory.") from error
    file = work / "lock"
    lock = FileLock(file, thread_local=False)
    try:
        file.touch()
        seen = file.stat()
        lock.acquire(blocking=False)
        if not os.path.samestat(seen, file.stat()):
            raise FileNotFoundError(file)
    except (
        Timeout,
        FileNotFoundError,
    ) as error:  # held, or taken away by a process that has just ended
        lock.release()
        raise InputError(
            f"Another process is writing {path}. Wait for it to end, or name another output directory."
        ) from error
    return lock


def _remove(work: Path, lock: FileLock) -> None:
    if os.name == "nt":  # where no open file can be taken away
        lock.release()
        shutil.rmtree(work)
        return
    # Under its own name, another process could claim it again while it is taken away, and lose files that it writes.
    gone = work.with_name(f"{work.name}-{os.getpid()}")
    work.rename(gone)
    shutil.rmtree(gone)


def finish_bundle(
    directory: Path, manifest: Manifest, ledger: pd.DataFrame, background: Background | None = None
) -> Manifest:
    """Write the ledger, the list of all keys and, last of all, the manifest with what proves every other file.

    Files that are still being written in the `background` are waited for.
    """
    write_parquet(ledger, directory / LEDGER_NAME, background=background)
    identities = {path: seal_shard(path) for path in sorted(directory.rglob("*.sqlite"))}
    shards = [ShardReader(path) for path in identities]
    of_groups = [shard for shard in shards if shard.path.parent.name in (SHARD_DIR, REFERENCE_DIR)]
    np.save(directory / KEYS_NAME, key_index([key for shard in of_groups for key in shard.keys(None)]))
    if background is not None:
        background.wait()
    of_manifest = {directory / MANIFEST_NAME, directory / MANIFEST_DIGEST_NAME}
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path not in of_manifest)
    with ThreadPoolExecutor(2, thread_name_prefix="metamodel-digest") as threads:
        described = threads.map(FileEntry.of, files, [identities.get(path, "") for path in files])
        entries = {path.relative_to(directory).as_posix(): entry for path, entry in zip(files, described, strict=True)}
    compressed = any(shard.compressed for shard in shards)
    complete = replace(manifest, files=entries, compression="zstd" if compressed else None)
    write_manifest(directory, complete)
    return complete


def prune_children(directory: Path, reasons: Mapping[str, str], status: str = "skipped") -> None:
    """Take children out of an unfinished bundle's shards; their rows stay, and say why there is no child."""
    if not reasons:
        return
    for path in sorted((directory / SHARD_DIR).glob("*.sqlite")):
        drop_children(path, reasons, status)


def add_pooled(directory: Path, shard: Path) -> None:
    """Put the pooled model, from the shard of the task that fitted it, into an unfinished bundle."""
    (directory / POOLED_DIR).mkdir()
    shutil.copyfile(shard, directory / POOLED_DIR / "00000.sqlite")


class ShardMerger:
    """Gathers the shards of many tasks into few files: logging a bundle costs the same uploads whatever the groups.

    Parameters
    ----------
    directory
        The bundle's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / SHARD_DIR
        self._names: list[str] = []
        self._writer = self._next()

    def add(self, shard: Path) -> str:
        """Append a task's shard; returns the name of the shard its groups are in now."""
        self._make_room()
        self._writer.add_all_of(shard)
        return self._names[-1]

    def replace(self, shard: Path, keys: Collection[str]) -> str:
        """Put some groups of a task's shard in the place of what was added of them before; returns as `add` does."""
        self._make_room()
        self.forget(keys)
        for row in ShardReader(shard).rows():
            if row.key in keys:
                self._writer.add(row)
        return self._names[-1]

    def forget(self, keys: Collection[str]) -> None:
        """Take groups out again, in whichever shard they are."""
        if not keys:
            return
        for name in self._names[:-1]:
            forget_groups(self._directory / name, keys)
        self._writer.forget(keys)

    def close(self) -> None:
        """Finish the last shard, and compress all of them where that is worthwhile."""
        self._writer.__exit__(None)
        for name in self._names:
            compress_shard(self._directory / name)

    def abandon(self) -> None:
        """Throw the unfinished shard away."""
        self._writer.__exit__(True)

    def _make_room(self) -> None:
        if self._writer.size > _SHARD_BYTES:
            self._writer.__exit__(None)
            self._writer = self._next()

    def _next(self) -> ShardWriter:
        self._names.append(f"{len(self._names):05d}.sqlite")
        return ShardWriter(self._directory / self._names[-1])
