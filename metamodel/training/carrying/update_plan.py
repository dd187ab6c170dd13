"""What an update does with each group: retrain it and why, carry it over, leave it out, or retire it."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from metamodel.bundle.carry.carried_shards import StoredGroups, stored_groups
from metamodel.bundle.carry.seen import read_seen
from metamodel.bundle.ledger import LedgerRow
from metamodel.bundle.ledger_queries import cells, encoded_keys_of
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import HashArray
from metamodel.common.group_status import POOLED, TRAINED
from metamodel.common.messages import listing
from metamodel.common.times import microseconds_in, time_number, time_text
from metamodel.exceptions import InputError
from metamodel.fitting.warm_start import Seen
from metamodel.tables.keys import GroupKey, encode_key
from metamodel.training.carrying.decisions import Contests, Decision
from metamodel.training.carrying.retrain_list import read_retrain_list
from metamodel.training.carrying.rules import Earlier, Present, Rules, why_retrain
from metamodel.training.plan import Plan

if TYPE_CHECKING:
    from metamodel.training.engines.base import Engine

__all__ = ["FROM_NOTHING", "Lineage", "Update", "plan_update", "refuse_other"]


@dataclass(frozen=True)
class Update:
    """What is done with each group; keys are encoded.

    Attributes
    ----------
    previous
        The version before.
    reasons
        Group that is retrained → why.
    keys
        The keys of these groups.
    carried
        Groups whose rows are taken over from the version before, whether they have a child or not.
    missing
        Carried group that is gone from the table → since when.
    retired
        Group whose child is dropped → since when it is gone.
    untrained
        New groups that no rule asks for.
    incumbents
        Retrained group whose child is in a contest with the new one → the newest row that it saw, or the hashes of all.
    contests
        How that is decided; None where every new child wins.
    stored
        What the shards of the version before hold.
    seen
        Group of the version before → hashes of the rows that its child saw, where they are remembered.
    """

    previous: MetaModel
    reasons: Mapping[str, str]
    keys: frozenset[GroupKey]
    carried: frozenset[str]
    missing: Mapping[str, str] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)
    untrained: tuple[GroupKey, ...] = ()
    incumbents: Mapping[GroupKey, Seen] = field(default_factory=dict)
    contests: Contests | None = None
    stored: StoredGroups = field(default_factory=lambda: StoredGroups({}, {}, frozenset()))
    seen: Mapping[str, HashArray] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """What the version before is called in the ledger."""
        return self.previous.bundle.digest[:12]

    @cached_property
    def with_child(self) -> frozenset[str]:
        """Groups that have an intact child in the version before."""
        return frozenset(key for key, size in self.stored.sizes.items() if size)

    def kept(self, rows: Iterable[LedgerRow]) -> dict[str, LedgerRow]:
        """Choose the retrained groups that keep the child they had: those that got no new one.

        A group that shall have none (an override says so) has lost it.
        """
        return {
            row.key: row
            for row in rows
            if row.status in ("failed", "skipped")
            and row.key in self.with_child
            and row.key in self.reasons
            and not row.reason.startswith("override")
        }

    def decide(self, rows: Sequence[LedgerRow]) -> dict[str, Decision]:
        """Say of every retrained group whether it keeps the child that it had."""
        failed = self.kept(rows)
        fitted = [row for row in rows if row.status == "fitted" and row.key in self.reasons]
        decided = {} if self.contests is None else self.contests.decide(fitted, self.with_child)
        return decided | {key: Decision("incumbent_kept", "fit") for key in failed}


@dataclass(frozen=True)
class Lineage:
    """How a training was asked for, by its arguments, and what it takes over; None for a training from nothing."""

    recipe: Mapping[str, Any] = field(default_factory=dict)
    update: Update | None = None


FROM_NOTHING = Lineage()

# What the ledger of the version before says of a group that has a part in what becomes of it.
_OF_EARLIER = ("status", "error", "fingerprint", "rows_seen", "data_through", "trained_at")


def plan_update(
    previous: MetaModel, training: "Engine[Any]", rules: Rules, retrain_list: Any, keep_missing: Any
) -> Update:
    """Decide what to do with each group.

    Parameters
    ----------
    previous
        The version before.
    training
        The engine with its plan.
    rules
        Which groups are retrained.
    retrain_list, keep_missing
        As in `metamodel.train`.

    Raises
    ------
    InputError
        The version before is of other columns, or the list names groups that are not there.
    """
    plan = training.plan
    refuse_other(previous, plan)
    ledger = previous.ledger
    there = ledger["level"].isin([len(plan.keys.columns), *plan.levels]) & (ledger["status"] != "retired")
    columns = [*plan.keys.names, "level", *_OF_EARLIER, "missing_since"]
    ledger = cells(ledger, there, [name for name in columns if name in ledger])
    known_keys = encoded_keys_of(ledger, plan.keys)
    stored = stored_groups(previous.bundle)
    earlier = _earlier(ledger, known_keys, stored)
    sizes = plan.sizes_of_all_levels()
    encoded = plan.encoded | {key: encode_key(key) for key in sizes if key not in plan.encoded}
    rules = replace(
        rules,
        listed=read_retrain_list(retrain_list, plan.keys, sizes),
        other_spec=previous.manifest.spec_digest != plan.digest,
        now=_today(),
        dated=plan.is_dated,
    )
    present = _present(training, sizes, encoded, earlier, rules)
    reasons = {
        text: why for text, facts in present.items() if (why := why_retrain(text, rules, earlier.get(text), facts))
    }
    gone = _gone(ledger, known_keys, present, time_text(_as_of(plan)))
    retired = _retired(gone, _as_of(plan), keep_missing) | {text: "damaged" for text in stored.damaged - present.keys()}
    dropped = reasons.keys() | retired.keys()
    hashes = read_seen(previous.bundle) if plan.options.hashes_seen else {}
    retrained = {key: text for key, text in encoded.items() if text in reasons}
    return Update(
        previous,
        reasons,
        frozenset(retrained),
        frozenset(text for text in known_keys if text not in dropped),
        {text: start for text, start in gone.items() if text not in dropped},
        retired,
        tuple(key for key, text in encoded.items() if text not in reasons and text not in earlier),
        incumbents=_incumbents(retrained, earlier, hashes),
        stored=stored,
        seen=hashes,
    )


def _gone(ledger: pd.DataFrame, keys: Sequence[str], there: Collection[str], today: str) -> dict[str, str]:
    """Say which groups of the version before are not in the table, and since when."""
    since = dict(zip(keys, ledger["missing_since"].tolist(), strict=True)) if "missing_since" in ledger else {}
    return {text: since.get(text) or today for text in keys if text not in there}


def _retired(gone: Mapping[str, str], as_of: int, keep_missing: Any) -> dict[str, str]:
    """Choose those of the groups that are gone which have been so for too long."""
    limit = microseconds_in(keep_missing, "keep_missing")
    return {text: start for text, start in gone.items() if limit is not None and as_of - _point(start, as_of) > limit}


def _incumbents(
    retrained: Mapping[GroupKey, str], earlier: Mapping[str, Earlier], hashes: Mapping[str, HashArray]
) -> dict[GroupKey, Seen]:
    """Say what the children of retrained groups have seen; of some that is not known, and they are in no contest."""
    return {
        key: seen
        for key, text in retrained.items()
        if text in earlier and earlier[text].has_child
        # Of a version that had a time column there are no hashes, and without one there is no point of time.
        if (seen := hashes.get(text, earlier[text].through)) is not None
    }


def refuse_other(previous: MetaModel, plan: Plan) -> None:
    """Refuse to carry children over into a model of other columns, another target or another form.

    Raises
    ------
    InputError
        With the first difference, in one line.
    """
    manifest, remedy = previous.manifest, "Train from nothing, or give the table that the model before had."
    if manifest.references is not None:
        raise InputError(
            "The model before refers to children that live elsewhere, which cannot be carried over. Pack it first "
            "(metamodel pack), and update what comes out."
        )
    differences = {
        "group columns": (_kinds(keys.columns) for keys in (manifest.keys, plan.keys)),
        "features": (_kinds(schema.features) for schema in (manifest.features, plan.features)),
        "form of the features": (manifest.features.layout, plan.features.layout),
        "target": ((manifest.target.name, manifest.target.task), (plan.options.target, plan.spec.task)),
        "classes": (list(manifest.target.classes), list(plan.target.classes)),
        "codec": (manifest.codec, plan.options.codec),
        "interval": (manifest.options.get("interval"), plan.options.interval),
        "shrinkage": (manifest.options.get("shrinkage"), plan.options.to_dict()["shrinkage"]),
    }
    for what, (then, now) in differences.items():
        if then != now:
            raise InputError(f"The model before differs in its {what}: {_shown(then, now)}. {remedy}")


def _kinds(columns: Iterable[Any]) -> list[tuple[str, str]]:
    return [(column.name, column.kind) for column in columns]


def _shown(then: Any, now: Any) -> str:
    """Show what differs, and of lists no more than that."""
    if isinstance(then, list) and isinstance(now, list):
        lost, added = ([one for one in these if one not in others] for these, others in ((then, now), (now, then)))
        if not lost and not added:
            return f"the order was {listing(map(_text, then), 3)}"
        parts = [f"{listing(map(_text, part), 3)} {when}" for when, part in (("before", lost), ("now", added)) if part]
        return ", ".join(parts)
    return f"{_text(then)} before, {_text(now)} now"


def _text(one: Any) -> str:
    return f"{one[0]} ({one[1]})" if isinstance(one, tuple) else str(one)


def _earlier(ledger: pd.DataFrame, keys: list[str], stored: StoredGroups) -> dict[str, Earlier]:
    """Gather what the version before knows of its groups."""
    columns = [ledger[name].tolist() for name in _OF_EARLIER]
    facts = {}
    days = {text: _microseconds(dt.datetime.fromisoformat(text)) for text in ledger["trained_at"].unique() if text}
    for key, status, error, fingerprint, rows_seen, through, trained in zip(keys, *columns, strict=True):
        child = status in TRAINED
        facts[key] = Earlier(
            child and bool(stored.sizes.get(key)),
            damaged=child and not stored.sizes.get(key),
            failed=bool(error),
            pooled=status == POOLED,
            fingerprint=fingerprint,
            rows_seen=int(rows_seen),
            through=time_number(through),
            trained_at=days.get(trained),
        )
    return facts


def _present(
    training: "Engine[Any]",
    sizes: Mapping[GroupKey, int],
    encoded: Mapping[GroupKey, str],
    earlier: Mapping[str, Earlier],
    rules: Rules,
) -> dict[str, Present]:
    """Gather what the table says of its groups."""
    newest = training.plan.newest_of_all_levels()
    through = {
        key: point for key, text in encoded.items() if text in earlier and (point := earlier[text].through) is not None
    }
    counts_rows = "stale" in rules.names and rules.min_new_rows is not None
    fresh = training.fresh_rows(through) if counts_rows and newest and through else {}
    prints = training.fingerprints() if "changed" in rules.names else {}
    return {
        text: Present(sizes[key], fresh.get(key), newest.get(key), prints.get(key, "")) for key, text in encoded.items()
    }


def _as_of(plan: Plan) -> int:
    """Say which point of time counts as today: the newest row's, where the table has such times."""
    return int(max(plan.newest.values())) if plan.is_dated else _today()


def _point(text: str, otherwise: int) -> int:
    point = time_number(text)
    return otherwise if point is None else int(point)


def _today() -> int:
    return _microseconds(dt.datetime.now(dt.UTC))


def _microseconds(point: dt.datetime) -> int:
    return (point - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
