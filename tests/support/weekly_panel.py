"""A panel of shops that grows week by week, and the parts of a bundle that are carried from one version to the next."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.bundle.shard_reader import open_shards
from metamodel.tables.keys import decode_key, encode_key

FEATURES = ["price", "promotion"]


def panel(shops: Iterable[int] = range(12), weeks: int = 40, start: str = "2026-01-05") -> pd.DataFrame:
    """Give every shop, of three countries, a line of its own over so many weeks; a shop's rows are always the same."""
    parts = []
    for shop in shops:
        rng = np.random.default_rng(shop)
        numbers = rng.normal(size=(200, 3))[:weeks]
        week = pd.date_range(start, periods=weeks, freq="7D").as_unit("us")
        y = 10 + shop + numbers[:, 0] * (1 + shop % 5) - numbers[:, 1] + numbers[:, 2] * 0.3
        country = ["DE", "FR", "IT"][shop % 3]
        columns = {"country": country, "shop": shop, "week": week, "price": numbers[:, 0], "promotion": numbers[:, 1]}
        parts.append(pd.DataFrame({**columns, "sales": y}))
    return pd.concat(parts, ignore_index=True)


def children_of(model: MetaModel) -> dict[str, tuple[str, bytes | None]]:
    """Read the digest and the bytes of every group's child, by encoded key."""
    shards = open_shards(model.bundle.path, model.manifest.files, "shards")
    return {row.key: (row.sha256, row.child) for shard in shards for row in shard.rows()}


def stored_blobs(model: MetaModel) -> dict[str, bytes | None]:
    """Read what the shards store, compressed as it is."""
    blobs: dict[str, bytes | None] = {}
    for path in sorted((model.bundle.path / "shards").glob("*.sqlite")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            blobs |= dict(connection.execute("SELECT key, child FROM children"))
    return blobs


def values_of(model: MetaModel, keys: Sequence[str]) -> Any:
    """Read the group values of some groups, as bytes."""
    values = model.bundle.group_values
    assert values is not None
    return values.of([decode_key(key) for key in keys], values.columns).tobytes()


def stack_rows(model: MetaModel) -> dict[str, list[bytes]]:
    """Read the numbers of every child in a stack, array by array; of trees with the places that they name."""
    rows = {}
    for stack in model.bundle.stacks:
        kept = stack.only({encode_key(key) for key in _all_keys(model)})
        assert kept is not None
        for i, key in enumerate(kept.keys):
            program = kept.program.take(np.array([i]))  # its places begin at 0
            rows[key] = [np.ascontiguousarray(values).tobytes() for _, values in sorted(program.arrays.items())]
    return rows


def status_of(ledger: pd.DataFrame, name: str = "status") -> dict[int, Any]:
    """Say what a column of the ledger holds of every shop."""
    children = ledger[ledger["level"] == 2]
    return dict(zip(children["shop"].tolist(), children[name].tolist(), strict=True))


def _all_keys(model: MetaModel) -> list[Any]:
    from metamodel.bundle.ledger_queries import keys_of

    return keys_of(model.ledger, model.manifest.keys)
