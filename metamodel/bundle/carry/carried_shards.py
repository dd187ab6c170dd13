"""Take children over from the shards of an earlier bundle: their stored bytes as they are, nothing is opened.

A shard none of whose groups is retrained is the same file under a second name. Of another one the rows that stay are
copied, compressed as they are with the dictionary that they were compressed with. So that a weekly update leaves no
hundred files behind, small shards are put together: each is read again only when as much has gathered beside it, and
their number grows with the logarithm of the number of updates.
"""

import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from metamodel.bundle.reader import SHARD_DIR, Bundle
from metamodel.bundle.shard_reader import ShardReader, open_shards
from metamodel.bundle.shard_writer import ShardWriter, compress_shard
from metamodel.bundle.shards import CHILDREN, COLUMNS, DICTIONARY, SEAL

__all__ = ["StoredGroups", "carry_shards", "link_file", "stored_groups"]

# Shards together are merged with the next larger one where that has at most so many times their groups.
_RATIO = 2


@dataclass(frozen=True)
class StoredGroups:
    """What the shards of a bundle hold of its groups, each proven.

    Attributes
    ----------
    sizes
        Encoded key → bytes of its child, of all groups that are intact.
    resident
        Encoded key → bytes of memory that its child takes.
    damaged
        Encoded keys of groups that are not what was written.
    """

    sizes: dict[str, int]
    resident: dict[str, int]
    damaged: frozenset[str]


def stored_groups(bundle: Bundle) -> StoredGroups:
    """Prove a bundle's shards: each as a whole, and row by row where it is not what was written."""
    sizes: dict[str, int] = {}
    resident: dict[str, int] = {}
    damaged: set[str] = set()
    for shard in open_shards(bundle.path, bundle.manifest.files, SHARD_DIR):
        if shard.is_whole():
            for key, size, memory in shard.sizes():
                sizes[key], resident[key] = size, memory
            continue
        for key, row in shard.scan():
            if row is None:
                damaged.add(key)
            else:
                sizes[key], resident[key] = row.size, row.resident
    return StoredGroups(sizes, resident, frozenset(damaged))


def carry_shards(bundle: Bundle, keys: Collection[str], directory: Path) -> dict[str, str]:
    """Write some groups of an earlier bundle into shards of an unfinished one, behind those that it has.

    Parameters
    ----------
    bundle
        The earlier bundle.
    keys
        Encoded keys of the groups to take over.
    directory
        The unfinished bundle's directory.

    Returns
    -------
    dict
        Encoded key → name of the shard that it is in now.
    """
    folder = directory / SHARD_DIR
    first = len(list(folder.glob("*.sqlite")))
    sources = [_Source.of(shard, keys) for shard in open_shards(bundle.path, bundle.manifest.files, SHARD_DIR)]
    shards: dict[str, str] = {}
    for number, group in enumerate(_together([source for source in sources if source.keys]), first):
        path = folder / f"{number:05d}.sqlite"
        if len(group) > 1:
            _merge(group, path)
        elif not group[0].gone:
            link_file(group[0].shard.path, path)
        else:
            _copy_rows(group[0], path)
        shards |= dict.fromkeys((key for source in group for key in source.keys), path.name)
    return shards


@dataclass(frozen=True)
class _Source:
    """An earlier shard, the keys that are taken over from it, and those that are not."""

    shard: ShardReader
    keys: tuple[str, ...]
    gone: tuple[str, ...]

    @classmethod
    def of(cls, shard: ShardReader, keys: Collection[str]) -> "_Source":
        every = list(shard.keys(None))
        return cls(shard, tuple(key for key in every if key in keys), tuple(key for key in every if key not in keys))


def _together(sources: Sequence[_Source]) -> Iterator[list[_Source]]:
    """Decide which shards become one, the smallest first."""
    group: list[_Source] = []
    for source in sorted(sources, key=lambda source: (len(source.keys), source.shard.path.name)):
        if group and len(source.keys) > _RATIO * sum(len(one.keys) for one in group):
            yield group
            group = []
        group.append(source)
    if group:
        yield group


def _merge(sources: Sequence[_Source], path: Path) -> None:
    """Put the rows of several shards into one, and compress them together."""
    with ShardWriter(path) as writer:
        for source in sources:
            for row in source.shard.rows(keys=source.keys):
                writer.add(row)
    compress_shard(path)


def _copy_rows(source: _Source, path: Path) -> None:
    """Copy stored rows as they are."""
    unfinished = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished, uri=True)) as connection:
        for pragma in ("page_size=32768", "journal_mode=OFF", "synchronous=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute(CHILDREN)
        connection.execute(SEAL)
        uri = f"file:{quote(str(source.shard.path.absolute()))}?mode=ro&immutable=1"
        connection.execute("ATTACH ? AS earlier", (uri,))
        connection.execute("CREATE TEMP TABLE gone (key TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT INTO gone VALUES (?)", ((key,) for key in source.gone))
        connection.execute(
            f"INSERT INTO main.children SELECT {COLUMNS} FROM earlier.children WHERE key NOT IN (SELECT key FROM gone) "
            "ORDER BY rowid"
        )
        if source.shard.compressed:
            connection.execute(DICTIONARY)
            connection.execute("INSERT INTO main.dictionary SELECT bytes FROM earlier.dictionary")
        connection.commit()
    unfinished.rename(path)


def link_file(source: Path, target: Path) -> None:
    """Give a file a second name where the file system can, else copy it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
