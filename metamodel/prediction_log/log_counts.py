"""The counts of a log: files that processes write beside those of their rows, and that add up to one a day and version.

A file that holds the sum of others names them, and whoever reads passes these over: so a sum that was cut off before
its parts were taken away counts nothing twice.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.option import read_settings
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.prediction_log.count_files import read_counts, table_of_counts
from metamodel.prediction_log.log_files import new_name, write_safely
from metamodel.prediction_log.log_locks import reading, removing

__all__ = [
    "COUNTS_DIR",
    "CountFile",
    "add_up",
    "count_files",
    "read_log_counts",
    "unreadable_counts",
    "write_count_file",
]

COUNTS_DIR = "counts"

# Schema metadata beside those of any count file: whose rows they are, of which day, and which files are in the sum.
_META = b"metamodel.log_counts"

# Files that are in memory at once.
_ADDED_AT_ONCE = 16


class CountFile(NamedTuple):
    """A file of counts of a log.

    Attributes
    ----------
    path
        Where.
    model, version, day
        Whose rows, and when they were answered ("2026-11-29", UTC).
    replaces
        Names of the files whose counts are in this one.
    """

    path: Path
    model: str
    version: str
    day: str
    replaces: tuple[str, ...]


def write_count_file(
    folder: Path, counts: WindowCounts, model: str, version: str, replaces: Collection[str] = (), name: str = ""
) -> Path:
    """Write a new file of counts of one day, as `metamodel.prediction_log.log_files.write_new_file` writes rows.

    Parameters
    ----------
    folder
        Of the log; it must exist.
    counts
        Of the day that is their window.
    model, version
        Whose.
    replaces
        Names of the files whose counts are in these.
    name
        Where one that has it is replaced; by default no other has it.

    Raises
    ------
    OSError
        It cannot be written; nothing is left of it.
    """
    place = folder / COUNTS_DIR
    place.mkdir(exist_ok=True)
    path = place / f"counts-{counts.window}-{name or new_name()}.parquet"
    table = table_of_counts(counts)
    meta = {"model": model, "version": version, "day": counts.window, "replaces": sorted(replaces)}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _META: json.dumps(meta).encode()})
    write_safely(path, table)
    return path


def count_files(folder: Path) -> list[CountFile]:
    """Name the files that count, in the order of days: none whose counts are in another one.

    Raises
    ------
    InputError
        A file is damaged.
    """
    files = [_described(path) for path in _paths(folder)]
    replaced = {name for file in files for name in file.replaces}
    return [file for file in files if file.path.name not in replaced]


def _paths(folder: Path) -> list[Path]:
    found = (folder / COUNTS_DIR).glob("counts-*.parquet")
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _described(path: Path) -> CountFile:
    try:
        meta = read_settings((pq.read_schema(path).metadata or {})[_META].decode(), is_json=True)
        names = (meta["model"], meta["version"], meta["day"])
        replaces = tuple(meta["replaces"])
        if not all(isinstance(name, str) for name in (*names, *replaces)) or path.name in replaces:
            raise ValueError("it does not say whose counts these are")
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} of the log is damaged ({error}). Take it away: its rows are not counted.") from error
    return CountFile(path, *names, replaces)


def read_log_counts(folder: str | Path) -> Iterator[tuple[CountFile, WindowCounts]]:
    """Read the counts of a log, one sum for each day and version of a model, in the order of days.

    Parameters
    ----------
    folder
        Of the log; it may be written and compacted meanwhile.

    Raises
    ------
    InputError
        A file is damaged.
    """
    path = Path(folder)
    with reading(path):
        for files in _alike(count_files(path)):
            yield files[0], _sum(files)


def unreadable_counts(folder: Path) -> list[Path]:
    """Name the files that are none of counts, whatever became of them."""
    odd = []
    for path in _paths(folder):
        try:
            _described(path)
        except InputError:
            odd.append(path)
    return odd


def add_up(folder: Path, since: str = "") -> int:
    """Add up the counts of each day and version in one file, and delete those of days before `since`.

    Returns
    -------
    int
        Files that were taken away.
    """
    for files in _alike(file for file in count_files(folder) if file.day >= since):
        if len(files) > 1:
            earlier = [name for file in files for name in file.replaces if (folder / COUNTS_DIR / name).exists()]
            names = [*earlier, *(file.path.name for file in files)]
            write_count_file(folder, _sum(files), files[0].model, files[0].version, names)
    staying = {file.path for file in count_files(folder) if file.day >= since}
    gone = [path for path in _paths(folder) if path not in staying]
    if gone:
        with removing(folder):
            for path in gone:
                path.unlink()
    return len(gone)


def _alike(files: Iterable[CountFile]) -> list[list[CountFile]]:
    """Put files together whose counts add up: those of one day and version."""
    together: dict[tuple[str, str, str], list[CountFile]] = {}
    for file in files:
        together.setdefault((file.day, file.model, file.version), []).append(file)
    return list(together.values())


def _sum(files: Sequence[CountFile]) -> WindowCounts:
    """Add up some files of one day and version, a few at a time."""
    total: WindowCounts | None = None
    for start in range(0, len(files), _ADDED_AT_ONCE):
        parts = [read_counts(file.path) for file in files[start : start + _ADDED_AT_ONCE]]
        total = WindowCounts.together(parts if total is None else [total, *parts])
    assert total is not None
    return total
