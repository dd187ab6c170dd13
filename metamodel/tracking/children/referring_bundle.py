"""The bundle of a meta-model whose children were logged one by one: references in the place of children."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.reader import KEYS_NAME, LEDGER_NAME, SHARD_DIR, Bundle
from metamodel.bundle.references import REFERENCE_DIR, Reference, ReferenceSettings, write_reference_table
from metamodel.bundle.shard_reader import open_shards
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.bundle.stored_stacks import STACK_DIR
from metamodel.bundle.writer import finish_bundle, new_bundle
from metamodel.common.group_status import POOLED, WITH_CHILD
from metamodel.tables.keys import encode_keys
from metamodel.tracking.children.destination import Logged
from metamodel.tracking.children.group_facts import group_digest

__all__ = ["refer_to"]


def refer_to(bundle: Bundle, children: Mapping[str, Logged], settings: ReferenceSettings, path: Path) -> Path:
    """Write a bundle that is another one, except that its children are logged models.

    Parameters
    ----------
    bundle
        The bundle with the children.
    children
        Digest of an encoded key (`Group.digest`) → where that child is.
    settings
        How the children are fetched.
    path
        Directory to write.

    Returns
    -------
    Path
        The bundle. Groups without a child keep their reasons; the ledger's `sha256` are those of the logged children.
    """
    manifest = replace(
        bundle.manifest,
        files={},
        stacks=(),
        compression=None,
        references=settings.to_dict(),
        features=replace(
            bundle.manifest.features, layout="frame"
        ),  # as models of their logged_rows, children take names
    )
    ledger = bundle.ledger
    encoded = encode_keys(keys_of(ledger, manifest.keys))
    here = ledger["status"].isin(WITH_CHILD).to_numpy()
    logged = [children[group_digest(key)] for key, there in zip(encoded, here, strict=True) if there]
    uris = [f"models:/{child.id}" for child in logged]
    references = [
        Reference(uri, "model", child.place, sha256=child.sha256) for uri, child in zip(uris, logged, strict=True)
    ]
    logged_rows = ledger[here]
    with new_bundle(path) as (directory, _):
        _copy_others(bundle, directory)
        with ShardWriter(directory / SHARD_DIR / "00000.sqlite") as shard:
            for row in _without_child(bundle):
                shard.add(row)
        keys = (key for key, there in zip(encoded, here, strict=True) if there)
        write_reference_table(directory, zip(keys, logged_rows["level"].tolist(), references, strict=True))
        logged_rows = logged_rows.assign(shard=f"{REFERENCE_DIR}/00000.sqlite", stack="no child", uri=uris)
        logged_rows["sha256"] = [child.sha256 for child in logged]
        rest = ledger[~here].assign(uri="")
        finish_bundle(directory, manifest, pd.concat([logged_rows, rest]).sort_index())
    return path


def _copy_others(bundle: Bundle, directory: Path) -> None:
    """Copy what is neither ledger nor children: the evidence."""
    for name in bundle.manifest.files:
        if name not in (LEDGER_NAME, KEYS_NAME) and not name.startswith((f"{SHARD_DIR}/", f"{STACK_DIR}/")):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / name, directory / name)


def _without_child(bundle: Bundle) -> Iterator[ShardRow]:
    """Yield what the shards say of groups that failed or were skipped, or that the pooled model answers."""
    for reader in open_shards(bundle.path, bundle.manifest.files, SHARD_DIR):
        for status in ("failed", "skipped", POOLED):
            yield from reader.rows(status)
