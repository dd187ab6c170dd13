"""The files that processes of a server write, each of its own name: they appear when they are complete."""

import os
import re
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.whole_files import whole_file

__all__ = ["DAMAGE", "NEW_DIR", "WRITING", "new_files", "new_name", "write_new_file", "write_safely"]

# Files that no compaction has taken in yet.
NEW_DIR = "new"

# How every file of a log is written: readers prove each page by its checksum.
WRITING: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}

# What is raised over the bytes of a damaged file.
DAMAGE = (pa.ArrowException, OSError, ValueError)

_NAME = re.compile(r"rows-(\d{8}T\d{6})\d*-.+\.parquet")


def write_new_file(folder: Path, table: pa.Table) -> Path:
    """Write rows into a new file of a log.

    The log's folder itself must exist: where a mounted disk has gone, nothing is written beside it.

    Raises
    ------
    OSError
        It cannot be written; nothing is left of it.
    """
    place = folder / NEW_DIR
    place.mkdir(exist_ok=True)
    path = place / f"rows-{new_name()}.parquet"
    write_safely(path, table)
    return path


def write_safely(path: Path, table: pa.Table) -> None:
    """Write a file of a log, compressed by zstd, complete or not at all.

    It is written under a name that begins with a dot, which readers of Parquet folders pass over, made safe on the
    disk, and renamed.
    """
    with whole_file(path, tidy=False) as unfinished, unfinished.open("wb") as file:  # compaction tidies up
        pq.write_table(table, file, coerce_timestamps="us", **WRITING)
        file.flush()
        os.fsync(file.fileno())


def new_name() -> str:
    """Make a name that no other file has, in the order of time."""
    host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def new_files(folder: Path) -> list[Path]:
    """Files that no compaction has taken in yet, the oldest first."""
    found = (path for path in (folder / NEW_DIR).glob("rows-*.parquet") if _NAME.fullmatch(path.name))
    # A pipe would be waited for, and a link may lead to rows of another log; nobody who writes a log makes either.
    return sorted(path for path in found if path.is_file() and not path.is_symlink())
