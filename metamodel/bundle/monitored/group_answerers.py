"""Who answers each group of a model, and each that it does not know: its own child, a parent, or the pooled model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from metamodel.bundle.ledger_queries import (
    answerer_of_key,
    answerers,
    encoded_keys_of,
    parents_with_child,
    rows_of_groups,
)
from metamodel.bundle.model import MetaModel
from metamodel.tables.keys import GroupKey, decode_keys

__all__ = ["GroupAnswerers"]


@dataclass(frozen=True)
class GroupAnswerers:
    """Who answers whom.

    Attributes
    ----------
    known
        Encoded key of every group of the training, but for retired ones → "child", "pooled", "parent:<level>",
        "global", or "nobody".
    """

    known: Mapping[str, str]
    _parents: frozenset[GroupKey]
    _chain: tuple[int, ...]

    @classmethod
    def of(cls, model: MetaModel) -> Self:
        """Read it of a model's ledger."""
        manifest = model.manifest
        ledger = model.bundle.read_ledger([*manifest.keys.names, "level", "status"])
        ledger = ledger[ledger["status"] != "retired"]
        who = answerers(ledger, manifest.keys, manifest.answering_chain)
        children = rows_of_groups(ledger, len(manifest.keys.columns))
        known = dict(zip(encoded_keys_of(children, manifest.keys), who, strict=True))
        return cls(known, parents_with_child(ledger, manifest.keys), manifest.answering_chain)

    def of_groups(self, keys: Iterable[str]) -> list[str]:
        """Say who answers groups, known or not."""
        every = list(keys)
        strange = [key for key in every if key not in self.known]
        others = {
            key: answerer_of_key(plain, self._parents, self._chain)
            for key, plain in zip(strange, decode_keys(strange), strict=True)
        }
        return [self.known.get(key) or others[key] for key in every]
