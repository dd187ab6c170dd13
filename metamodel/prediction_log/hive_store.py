"""A compacted log in folders of Parquet by day (`days/day=2026-11-29/`), and one file that says which files count."""

import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metamodel.common.messages import short, short_line
from metamodel.common.option import read_settings
from metamodel.common.whole_files import whole_file
from metamodel.exceptions import InputError
from metamodel.prediction_log.log_files import WRITING

__all__ = ["MANIFEST", "HiveStore"]

# The files that count, and the new files whose rows are in them.
MANIFEST = "compacted.json"

_DAYS = "days"

_NAME = re.compile(_DAYS + r"/day=\d{4}-\d\d-\d\d/rows-[0-9a-f]{32}\.parquet")


class HiveStore:
    """See `metamodel.prediction_log.log_store.LogStore`.

    A change writes its files first, and then replaces the manifest at once. What a killed change has written is in no
    manifest.

    Parameters
    ----------
    folder
        Of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def snapshot(self) -> tuple[list[Path], set[str]]:
        """Name the files that count, and the new files whose rows are in the last change."""
        manifest = self._manifest()
        return [self._folder / name for name in manifest["files"]], set(manifest["taken"])

    def schema(self) -> pa.Schema | None:
        """Columns of all files together."""
        files, _ = self.snapshot()
        return pa.unify_schemas([pq.read_schema(file) for file in files]) if files else None

    def append(self, tables: Iterable[pa.Table], schema: pa.Schema, taken: Collection[str]) -> None:
        """Add rows."""
        written = self._written(tables, schema)
        self._replace([*self._manifest()["files"], *written], taken)

    def delete_before(self, day: str) -> int:
        """Delete the rows of earlier days."""
        names = self._manifest()["files"]
        old = [name for name in names if _day_of(name) < day]
        deleted = sum(pq.read_metadata(self._folder / name).num_rows for name in old)
        if old:
            self._replace([name for name in names if name not in old], self._manifest()["taken"])
        return deleted

    def forget(self, entities: Collection[str]) -> int:
        """Delete the rows of some pseudonyms: files that hold one are written anew."""
        forgotten = pa.array(sorted(entities), pa.string())
        names, deleted = [], 0
        for name in self._manifest()["files"]:
            table = pq.read_table(self._folder / name, partitioning=None)
            keep = pc.invert(pc.is_in(table["entity_hash"], forgotten))
            kept = table.filter(keep)
            deleted += table.num_rows - kept.num_rows
            if kept.num_rows == table.num_rows:
                names.append(name)
            elif kept.num_rows:
                names.append(self._write(kept, _day_of(name)))
        if deleted:
            self._replace(names, self._manifest()["taken"])
        return deleted

    def clean(self) -> None:
        """Take away the files that do not count."""
        counted = set(self.snapshot()[0])
        for path in (self._folder / _DAYS).rglob("*"):
            if path.is_file() and path not in counted:
                path.unlink()

    def _manifest(self) -> dict[str, list[str]]:
        path = self._folder / MANIFEST
        if not path.exists():
            return {"files": [], "taken": []}
        try:
            manifest: dict[str, list[str]] = read_settings(path.read_text(encoding="utf-8"), is_json=True)
            names = [*manifest["files"], *manifest["taken"]]
            odd = [name for name in manifest["files"] if not _NAME.fullmatch(name)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} names no files of a log ({short_line(str(error))}). Restore it.") from error
        # One that lies elsewhere holds another log's rows, or anybody's; a name that stands twice counts rows twice.
        odd += [name for name, times in Counter(names).items() if times > 1]
        odd += [name for name in manifest["files"] if not odd and not _is_there(self._folder / name)]
        if odd:
            raise InputError(f"{path} names {short(odd[0])}, which is no file of this log, or twice. Restore it.")
        return manifest

    def _replace(self, files: Collection[str], taken: Collection[str]) -> None:
        content = json.dumps({"files": list(files), "taken": sorted(taken)}).encode()
        with whole_file(self._folder / MANIFEST) as unfinished, unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _written(self, tables: Iterable[pa.Table], schema: pa.Schema) -> list[str]:
        """Write each day's rows into one file; memory holds a table at a time."""
        writers: dict[str, tuple[str, pq.ParquetWriter]] = {}
        without_day = schema.remove(schema.get_field_index("day"))
        try:
            for table in tables:
                for day in pc.unique(table["day"]).to_pylist():
                    rows = table.filter(pc.equal(table["day"], day)).select(without_day.names)
                    if str(day) not in writers:
                        name = self._new_name(str(day))
                        writers[str(day)] = name, pq.ParquetWriter(self._folder / name, without_day, **WRITING)
                    writers[str(day)][1].write_table(rows)
        finally:
            for _, writer in writers.values():
                writer.close()
        return [name for name, _ in writers.values()]

    def _write(self, table: pa.Table, day: str) -> str:
        name = self._new_name(day)
        pq.write_table(table, self._folder / name, **WRITING)
        return name

    def _new_name(self, day: str) -> str:
        name = f"{_DAYS}/day={day}/rows-{uuid.uuid4().hex}.parquet"
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        return name


def _is_there(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _day_of(name: str) -> str:
    return Path(name).parent.name.removeprefix("day=")
