"""What a compacted log is, whatever keeps it: Parquet files by day, and which new files are in them already."""

from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from metamodel.prediction_log.delta_store import DELTA_DIR, DeltaStore
from metamodel.prediction_log.hive_store import MANIFEST, HiveStore

__all__ = ["DAY", "LogStore", "open_log_store"]

DAY = "day"


class LogStore(Protocol):
    """The compacted part of a log. One process changes it at a time; each change is there as a whole, or not at all."""

    def snapshot(self) -> tuple[list[Path], set[str]]:
        """Name the files that count, and the new files whose rows are in the last change: these count no more."""
        ...

    def schema(self) -> pa.Schema | None:
        """Columns of all files together, without the day; None where there is none."""
        ...

    def append(self, tables: Iterable[pa.Table], schema: pa.Schema, taken: Collection[str]) -> None:
        """Add rows, which have the column `day`, and say which new files they are from."""
        ...

    def delete_before(self, day: str) -> int:
        """Delete the rows of earlier days; returns how many."""
        ...

    def forget(self, entities: Collection[str]) -> int:
        """Delete the rows of some pseudonyms; returns how many."""
        ...

    def clean(self) -> None:
        """Take away what no reader needs any more, and what a compaction left that was killed."""
        ...


def open_log_store(folder: Path) -> LogStore:
    """Open the compacted part: a Delta table where deltalake is installed, unless the log began without it."""
    if (folder / DELTA_DIR).is_dir() or (find_spec("deltalake") is not None and not (folder / MANIFEST).exists()):
        return DeltaStore(folder)
    return HiveStore(folder)
