"""Read a bundle: manifest, ledger and shards in one directory; children are loaded when asked for."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.array_files import map_array, proven_table
from metamodel.bundle.codecs import CODECS, get_codec
from metamodel.bundle.compression import check_available
from metamodel.bundle.group_values import GroupValues
from metamodel.bundle.key_index import KeyPlaces
from metamodel.bundle.manifest import read_manifest
from metamodel.bundle.prefetch import look_ahead
from metamodel.bundle.references import ChildLoader, Reference, ReferenceTable
from metamodel.bundle.shard_reader import open_shards
from metamodel.bundle.shards import ShardRow
from metamodel.bundle.stored_stacks import StoredStack, open_stacks
from metamodel.common.byte_cache import ByteCache, Keep, process_cache
from metamodel.common.fork_lock import ForkLock, not_during_fork
from metamodel.common.group_status import POOLED as BY_POOLED_STATUS
from metamodel.common.uris import redacted
from metamodel.exceptions import ChildUnavailable, CorruptBundle, TrainingFailed, UnknownGroup, UnreadableBundle
from metamodel.prediction.blending import weight_columns
from metamodel.prediction.pooled_model import BY_POOLED, PooledModel
from metamodel.tables.keys import GroupKey, encode_key

__all__ = ["KEYS_NAME", "LEDGER_NAME", "POOLED_DIR", "SHARD_DIR", "Bundle"]

LEDGER_NAME = "ledger.parquet"

SHARD_DIR = "shards"

KEYS_NAME = "keys.npy"

POOLED_DIR = "pooled"


class Bundle:
    """A bundle on disk, opened for reading. Opening reads the manifest alone, whatever the number of groups.

    Parameters
    ----------
    path
        The bundle's directory.
    cache
        Where loaded children are kept; by default the cache that all models of this process share.
    loader
        Gets children that live elsewhere.

    Raises
    ------
    UnreadableBundle
        There is no bundle at `path`, or one that was not finished, or of an unknown format version.
    ForbiddenCodec
        The environment does not allow the bundle's codec.
    """

    def __init__(self, path: str | Path, cache: ByteCache | None = None, loader: ChildLoader | None = None) -> None:
        self.path = Path(path)
        self.manifest, self.digest = read_manifest(self.path)
        if self.manifest.codec not in CODECS:
            raise UnreadableBundle(f"{self.path} has the unknown codec {self.manifest.codec!r}. Upgrade metamodel.")
        self._codec = get_codec(self.manifest.codec)
        self._codec.check_allowed()
        if self.manifest.compression is not None:
            check_available()
        self._own_cache = cache
        self._loader = loader
        self._references = None
        if self.manifest.references is not None:
            self._references = ReferenceTable(self.path, self.manifest.files, self.manifest.references)
        self._shards = open_shards(self.path, self.manifest.files, SHARD_DIR)
        self._pooled = open_shards(self.path, self.manifest.files, POOLED_DIR)
        self.seconds_reading = self.seconds_unpickling = 0.0
        self._lock = ForkLock()

    @cached_property
    def stacks(self) -> list[StoredStack]:
        """Children that can be evaluated together."""
        return open_stacks(self.path, self.manifest)

    @cached_property
    def group_values(self) -> GroupValues | None:
        """Numbers of groups that answers need beside the children; None without any."""
        described = self.manifest.group_values
        return None if described is None else GroupValues(self.path, described, self.manifest.files)

    @property
    def weights(self) -> GroupValues | None:
        """How the predictions of each group are blended with its parents'; None where every model answers alone."""
        values = self.group_values
        return values if values is not None and weight_columns(0)[0] in values.columns else None

    @property
    def cache(self) -> ByteCache:
        """The cache its children are kept in."""
        return self._own_cache or process_cache()

    @property
    def own_limit(self) -> int | None:
        """Limit in bytes of a cache that this bundle was given, or None where it uses the one of the process."""
        return None if self._own_cache is None else self._own_cache.limit

    def load(self, key: GroupKey, *, keep: Keep = True) -> Any:
        """Load the child of a group, from the cache where it is there.

        Parameters
        ----------
        key
            Canonical key.
        keep
            False to leave the cache as it is, "if_room" to push nothing out of it.

        Returns
        -------
        tuple of (child, sha256)
            The fitted estimator, shared with every other caller, and the digest of its bytes.

        Raises
        ------
        UnknownGroup
            The group was never seen, or was skipped in training.
        TrainingFailed
            The group was seen, but its training failed.
        CorruptBundle
            This group's bytes are damaged.
        ChildUnavailable
            The group's child lives elsewhere and cannot be fetched.
        """
        encoded = encode_key(key)
        if self._references is not None and (reference := self._references.find(encoded)) is not None:
            return self._load_elsewhere(reference, encoded, keep)
        return self.cache.get((self.digest, encoded), lambda: self._read_child(key, encoded), keep=keep)

    def pooled(self, *, keep: Keep = True) -> tuple[PooledModel, str]:
        """Load the pooled model as `load` does children; (model, sha256).

        Raises
        ------
        CorruptBundle
            Its bytes are damaged, or there are none.
        """
        loaded: tuple[PooledModel, str] = self.cache.get((self.digest, POOLED_DIR), self._read_pooled, keep=keep)
        return loaded

    def is_cached(self, key: GroupKey) -> bool:
        """Whether who answers a group is in memory; a child that lives elsewhere may be, and yet be asked from afar."""
        return (self.digest, encode_key(key)) in self.cache and (
            self.manifest.pooled is None or (self.digest, POOLED_DIR) in self.cache
        )

    def _load_elsewhere(self, reference: Reference, encoded: str, keep: Keep) -> Any:
        loader = self._loader
        if loader is None:
            raise ChildUnavailable(
                f"The child of group {encoded} lives at {redacted(reference.uri)}. "
                "Open the model with metamodel.load_model, which can fetch it."
            )
        place = loader.resolve(reference, encoded)
        # A promoted child has another place, so its predecessor in the cache is not asked any more.
        return self.cache.get((self.digest, encoded, place), lambda: loader.load(reference, encoded, place), keep=keep)

    @contextmanager
    def ahead(self, keys: Sequence[GroupKey], *, keep: Keep) -> Iterator[Callable[[GroupKey], Any]]:
        """Hand out `load`; children that live elsewhere are fetched some places ahead of the one asked for.

        Parameters
        ----------
        keys
            Canonical keys in the order in which they will be asked for.
        keep
            As for `load`.
        """
        if self._references is None:
            yield partial(self.load, keep=keep)
            return
        concurrency = self._references.settings.concurrency
        with look_ahead(partial(self.load, keep=keep), keys, concurrency) as load:
            yield load

    @property
    def references(self) -> ReferenceTable | None:
        """Where children live that are not in this bundle; None without any."""
        return self._references

    def should_keep(self, n_groups: int) -> bool:
        """Whether a batch over this many groups should leave its children in the cache.

        A pass over more children than the cache holds would push out the ones that online traffic needs and, by its
        end, its own first ones too; so it leaves the cache alone.
        """
        fitted = max(1, self.manifest.children)
        return self.manifest.counts["resident_bytes"] / fitted * n_groups <= self.cache.limit

    def fresh_child(self, key: GroupKey) -> Any:
        """Load a copy of a child that belongs to the caller alone."""
        encoded = encode_key(key)
        if self._references is not None and (reference := self._references.find(encoded)) is not None:
            child, _ = self._load_elsewhere(reference, encoded, keep=False)
            return copy.deepcopy(getattr(child, "model", child))
        return self.read(key)[0][0]

    def read(self, key: GroupKey) -> tuple[tuple[Any, str], int]:
        """Read a child of this bundle's own shards, past every cache: ((child, sha256), bytes of memory).

        Of a group that the pooled model answers it is that model, as an estimator of the group.
        """
        (child, version), resident = self._read_child(key, encode_key(key))
        if child is not BY_POOLED:
            return (child, version), resident
        (pooled, version), resident = self._read_pooled()
        return (pooled.of(key), version), resident

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """One row for every group seen, see docs/ledger.md."""
        return self.read_ledger()

    def read_ledger(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the ledger, or only some of its columns."""
        table = self.read_table(LEDGER_NAME, columns)
        if table is None:
            raise CorruptBundle(f"{self.path} has no {LEDGER_NAME}. Restore the bundle.")
        return table

    def read_table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
        """Read a Parquet file of the bundle, or None where it has none of that name."""
        if name not in self.manifest.files:
            return None
        with proven_table(self.path, name, self.manifest.files, columns) as content:
            return pd.read_parquet(content, columns=columns)

    def damaged_files(self) -> list[str]:
        """Names of the files whose bytes are not those that were written. Reads every file."""
        return [name for name, entry in self.manifest.files.items() if not entry.describes(self.path / name)]

    def damaged_groups(self) -> dict[str, list[str]]:
        """Read every group; encoded keys of those with damaged bytes → where: "child", "stack", or both."""
        damaged: dict[str, list[str]] = {}
        for shard in self._shards:
            for key in shard.damaged_keys():
                damaged.setdefault(key, []).append("child")
        for shard in self._pooled:
            for key in shard.damaged_keys():
                damaged.setdefault(key, []).append("pooled")
        for stack in self.stacks:
            for key in stack.damaged_keys():
                damaged.setdefault(key, []).append("stack")
        return damaged

    @not_during_fork()
    def _read_child(self, key: GroupKey, encoded: str) -> tuple[tuple[Any, str], int]:
        started = time.perf_counter()
        row = self._find(encoded)
        with self._lock:
            self.seconds_reading += time.perf_counter() - started
        if row is None:
            self._check_unknown(key)
            raise UnknownGroup(f"No child model for group {key} ({self.manifest.children:,} known). {_REMEDY}")
        if row.child is None and row.status == BY_POOLED_STATUS:
            return (BY_POOLED, ""), _MARK_BYTES
        if row.child is None:
            kind = TrainingFailed if row.status == "failed" else UnknownGroup
            raise kind(f"No child model for group {key}: it was {row.status} in training ({row.reason}). {_REMEDY}")
        return (self._opened(row.child, f"The child of group {key}"), row.sha256), row.resident

    def _opened(self, blob: bytes, what: str) -> Any:
        started = time.perf_counter()
        try:
            return self._codec.loads(blob)
        except Exception as error:  # a codec raises whatever the child's own code raises
            raise CorruptBundle(f"{what} cannot be deserialized ({error!r}). Install what it needs.") from error
        finally:
            with self._lock:
                self.seconds_unpickling += time.perf_counter() - started

    @not_during_fork()
    def _read_pooled(self) -> tuple[tuple[PooledModel, str], int]:
        row = next((row for shard in self._pooled if (row := shard.read(encode_key(()))) is not None), None)
        if row is None or row.child is None or self.manifest.pooled is None:
            raise CorruptBundle(f"{self.path} has no pooled model, which its manifest speaks of. Restore the bundle.")
        estimator = self._opened(row.child, "The pooled model")
        model = PooledModel(estimator, self.manifest.features.names, self.manifest.pooled["columns"])
        return (model, row.sha256), row.resident

    def _check_unknown(self, key: GroupKey) -> None:
        """Raise `CorruptBundle` for a group that was written: a damaged index must not make it a stranger."""
        if self._written.of([key])[0] >= 0:
            raise CorruptBundle(
                f"Group {key} was written to {self.path}, but the index of its shard does not find it. "
                "Restore the bundle from the tracking server, or train again."
            )

    @cached_property
    def _written(self) -> KeyPlaces:
        """Every group that was written."""
        return KeyPlaces(map_array(self.path / KEYS_NAME, self.manifest.files.get(KEYS_NAME)))

    def find(self, key: GroupKey) -> ShardRow | None:
        """Read a group's row of this bundle's own shards, its child not yet opened; None for a group never seen.

        Raises
        ------
        CorruptBundle
            This group's bytes, or the index that should find them, are damaged.
        """
        row = self._find(encode_key(key))
        if row is None:
            self._check_unknown(key)
        return row

    def _find(self, encoded: str) -> ShardRow | None:
        for shard in self._shards:
            row = shard.read(encoded)
            if row is not None:
                return row
        return None


# What a note takes in the cache that the pooled model answers a group.
_MARK_BYTES = 200

_REMEDY = 'Train it, or train with unknown="fallback".'
