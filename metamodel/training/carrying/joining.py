"""The carried groups of an update, ready to be joined with the fitted ones at each step of making the bundle."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.carry.carried_shards import carry_shards, link_file
from metamodel.bundle.carry.carried_stacks import carried_stacks
from metamodel.bundle.carry.contests import read_contests
from metamodel.bundle.ledger import COMPARISON_COLUMNS, SHRINKAGE_COLUMNS, LedgerRow
from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.manifest import Manifest
from metamodel.bundle.reader import POOLED_DIR, Bundle
from metamodel.common.arrays import AnyArray, HashArray
from metamodel.common.group_status import ANSWERED
from metamodel.evaluation.conformal import INTERVAL_COLUMNS
from metamodel.evaluation.pooled_selection import Contest
from metamodel.training.build_stacks import CarriedStacks
from metamodel.training.carrying.decisions import Decision
from metamodel.training.carrying.tables import (
    carried_holdout,
    carried_importance,
    carried_ledger,
    group_values_of,
    join_evidence,
    join_ledgers,
    replaced_values,
    restored,
    retired_rows,
)
from metamodel.training.carrying.update_plan import Update
from metamodel.training.plan import Plan

__all__ = ["Carrying"]

# What depends on other groups, and is not computed anew for a group that is carried.
_AS_BEFORE = ("reason", *COMPARISON_COLUMNS, *SHRINKAGE_COLUMNS, *INTERVAL_COLUMNS)

# What the ledger says of the contest of a group that had none.
_OF_CONTEST = {"fresh_rows": 0, "gain": math.nan, "gain_se": math.nan, "p_value_incumbent": math.nan}


class Carrying:
    """What is taken over from the version before.

    Parameters
    ----------
    update
        What was decided before the training.
    kept
        Encoded key → what became of the new fit, of groups that keep the child they had.
    plan
        What was trained.
    decisions
        Encoded key → what came of its contest, of every retrained group.
    """

    def __init__(
        self, update: Update, kept: Mapping[str, LedgerRow], plan: Plan, decisions: Mapping[str, Decision]
    ) -> None:
        self._update = update
        self._kept = kept
        self.decisions = decisions
        self._plan = plan
        self._bundle = update.previous.bundle
        self.keys = update.carried | kept.keys()

    @property
    def previous(self) -> Bundle:
        """The bundle of the version before."""
        return self._bundle

    @property
    def seen(self) -> Mapping[str, HashArray]:
        """Hashes of the rows that the children of the version before saw, by encoded key."""
        return self._update.seen

    @cached_property
    def _rows(self) -> pd.DataFrame:
        """The ledger's rows of all groups that were not fitted, or whose fit does not count."""
        update, plan = self._update, self._plan
        ledger = update.previous.ledger
        before = encoded_keys_of(ledger, plan.keys)
        rows = carried_ledger(ledger, before, self.keys, plan.ledger_columns, update.version)
        rows = self._told([key for key in before if key in self.keys], rows)
        if not update.retired:
            return rows
        gone = retired_rows(ledger, before, update.retired, plan.ledger_columns)
        return join_ledgers([rows, gone], plan.keys, plan.spec.task)

    def _told(self, keys: Sequence[str], rows: pd.DataFrame) -> pd.DataFrame:
        """Say in carried rows who was asked to leave and stayed, and who is gone from the table."""
        reasons = rows["reason"].tolist()
        words = {reason: _words(reason, None) for reason in set(reasons)}
        columns: dict[str, Any] = {
            **{name: np.full(len(keys), nothing) for name, nothing in _OF_CONTEST.items()},
            "decision": np.full(len(keys), "carried", dtype=object),
            "decided_by": np.full(len(keys), "", dtype=object),
            "reason": [words[reason] for reason in reasons],
            "error": rows["error"].tolist(),
            "retrain_reason": np.full(len(keys), "", dtype=object),
            "missing_since": [self._update.missing.get(key, "") for key in keys],
        }
        for place, key in enumerate(keys):
            if (fit := self._kept.get(key)) is None:
                continue
            decision = self.decisions.get(key, Decision("carried"))
            cells = {name: getattr(fit, name) for name in (*_OF_CONTEST, "error")} | vars(decision)
            cells["reason"], cells["retrain_reason"] = _words(reasons[place], fit), self._update.reasons.get(key, "")
            for name, value in cells.items():
                columns[name][place] = value
        return rows.assign(**columns)

    @cached_property
    def _keys_of_rows(self) -> AnyArray:
        """Encoded keys of `_rows`, in their order."""
        return np.array(encoded_keys_of(self._rows, self._plan.keys), dtype=object)

    @cached_property
    def _with_child(self) -> pd.DataFrame:
        return self._rows[self._rows["status"] == "carried"]

    @cached_property
    def child_keys(self) -> list[str]:
        """Encoded keys of the carried groups that have a child."""
        keys: list[str] = self._keys_of_rows[(self._rows["status"] == "carried").to_numpy(dtype=bool)].tolist()
        return keys

    def ledger(self, fitted: pd.DataFrame) -> pd.DataFrame:
        """Put the carried rows beside those of this training."""
        return join_ledgers([fitted, self._rows], self._plan.keys, self._plan.spec.task)

    def as_before(self, ledger: pd.DataFrame) -> pd.DataFrame:
        """Give carried rows back what they had of the columns that depend on other groups."""
        return restored(ledger, self._rows, self._plan.keys, [name for name in _AS_BEFORE if name in ledger])

    def holdout(self, fitted: pd.DataFrame) -> pd.DataFrame:
        """Put the carried children's held-out rows beside the others."""
        return join_evidence(fitted, carried_holdout(self._bundle, self.keys))

    def importance(self, fitted: pd.DataFrame) -> pd.DataFrame:
        """Put the carried importances beside the others."""
        return join_evidence(fitted, carried_importance(self._bundle, self.keys))

    def group_values(self, fitted: pd.DataFrame) -> pd.DataFrame:
        """Let carried groups keep the numbers that they answer with."""
        answered = self._keys_of_rows[self._rows["status"].isin(ANSWERED).to_numpy(dtype=bool)]
        return replaced_values(fitted, group_values_of(self._bundle, answered.tolist()))

    def contests(self) -> dict[str, Contest]:
        """Take the contests of carried groups."""
        return {key: contest for key, contest in read_contests(self._bundle).items() if key in self.keys}

    def stacks(self) -> CarriedStacks:
        """Gather what the stacks of the version before hold of the carried children."""
        keys = self.child_keys
        before = dict(zip(keys, self._with_child["stack"].tolist(), strict=True))
        reasons = {key: why or "the stack before is damaged" for key, why in before.items()}
        return CarriedStacks(carried_stacks(self._bundle, set(keys)), reasons)

    def shards(self, directory: Path, ledger: pd.DataFrame) -> pd.DataFrame:
        """Write the carried groups into shards of the bundle; returns the ledger that says which."""
        shards = carry_shards(self._bundle, self.keys, directory)
        carried = (ledger["status"] == "carried").to_numpy()
        files = ledger["shard"].astype(object).to_numpy(copy=True)
        files[carried] = [shards[key] for key in self.child_keys]
        return ledger.assign(shard=pd.Series(files).infer_objects())

    def manifest(self, manifest: Manifest, directory: Path) -> dict[str, Any]:
        """Say what the manifest has to add.

        The memory of carried children, the candidates that fitted them, and the pooled model of the version before
        where there is no new one.
        """
        stored, used = self._update.stored.resident, set(self._with_child["candidate"])
        resident = manifest.counts["resident_bytes"] + sum(stored[key] for key in self.child_keys)
        candidates = dict(manifest.options["candidates"])
        for name, described in self._bundle.manifest.options["candidates"].items():
            if name in used:
                candidates[name] = _together(candidates[name], described) if name in candidates else described
        return {
            "pooled": self._pooled(directory) if manifest.pooled is None else manifest.pooled,
            "counts": {**manifest.counts, "resident_bytes": resident},
            "options": {**manifest.options, "candidates": candidates},
        }

    def _pooled(self, directory: Path) -> dict[str, Any] | None:
        """Take the pooled model over, if there is one."""
        before = self._bundle.manifest
        for name in before.files:
            if before.pooled is not None and name.startswith(f"{POOLED_DIR}/"):
                link_file(self._bundle.path / name, directory / name)
        return before.pooled


def _words(reason: str, kept: LedgerRow | None) -> str:
    """Say beside the old words why a group keeps its child."""
    words = [word for word in reason.split("; ") if word and not word.startswith("kept:")]
    return "; ".join(words if kept is None or kept.status == "fitted" else [*words, f"kept: {kept.reason}"])


def _together(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a candidate whose children were fitted now and before: what is needed, and what all of them can."""
    able = {
        name: (value and before.get(name, False)) if isinstance(value, bool) else value for name, value in now.items()
    }
    same = now.get("transform") == before.get("transform")
    packages = sorted({*now["packages"], *before["packages"]})
    return {**able, "packages": packages, "transform": now.get("transform", 0) if same else 0}
