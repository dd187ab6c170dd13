"""All searches of one group: which rows each may see, and how much of the group's time it gets.

The rows that judge a child take no part in the search for its parameters. Where every row judges (K folds), each fold's
training rows are searched on their own (nested cross-validation), and all rows once more for the child that is stored.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

import numpy as np

from metamodel.common.messages import error_text
from metamodel.common.time_limit import TimeLimitReached
from metamodel.evaluation.splits import folds_of
from metamodel.fitting.group import GroupData, Terminated
from metamodel.fitting.spec import Candidate, FitSpec, TuningSpec
from metamodel.fitting.tuning.budget import OutOfTime, Search
from metamodel.fitting.tuning.record import TuningRecord
from metamodel.fitting.tuning.study import Study

__all__ = ["Tuned", "tune"]


@dataclass(frozen=True)
class Tuned:
    """What a group's searches found.

    Attributes
    ----------
    spec
        With the best candidates.
    of_folds
        For each fold that judges, the candidates that its own training rows led to; empty where `spec` has those of
        all folds.
    """

    spec: FitSpec
    of_folds: Sequence[tuple[Candidate, ...]] = ()


def tune(group: GroupData, spec: FitSpec, search: Search, records: list[TuningRecord]) -> Tuned:
    """Search the parameters of every candidate that has a space, on a group's training rows.

    Parameters
    ----------
    group
        All rows of the group that have a target.
    spec
        What to fit; without `tuning` it is handed back as it is.
    search
        What to try first, and when to end.
    records
        Gets one record for each candidate with a space, also where a time limit ends the search.
    """
    if spec.tuning is None:
        return Tuned(spec)
    outer = folds_of(group.hashes, group.times, spec.holdout, spec.split, group.split_groups)
    nested = [group.take(train) for train, _ in outer] if spec.split.kind == "kfold" else []
    turns = _Turns(search, spec, spec.tuning, parts=1 + len(nested))
    training_rows = group
    if outer and not nested:
        # Rows that any test fold holds are none of the search's business, nor of the parent's.
        searched = reduce(and_, (train for train, _ in outer))
        training_rows = group.take(searched)
        if _seen_by_parent(group.take(~searched), spec.holdout, search):
            turns.first = {}
    candidates = _search(training_rows, spec, turns, records)
    of_folds = []
    # What the parent found was searched on the test rows of these folds, too.
    turns.first = {}
    for inner in nested:
        fold_records: list[TuningRecord] = []
        try:
            of_folds.append(_search(inner, spec, turns, fold_records))
        finally:
            records[:] = [_together(record, fold_records) for record in records]
    return Tuned(replace(spec, candidates=candidates), of_folds)


def _seen_by_parent(held: GroupData, fraction: float, search: Search) -> bool:
    """Whether the search for what is tried first may have seen rows that are held out here."""
    if held.times is not None:
        return search.first_latest is None or search.first_latest >= held.times.min()
    # A row that a small group holds out for want of others (`splits.hash_holdout`) is one that its parent trains on.
    return bool((held.hashes >= np.uint64(int(fraction * 2**64))).any())


class _Turns:
    """Shares the group's time out over all searches that are still to come."""

    def __init__(self, search: Search, spec: FitSpec, tuning: TuningSpec, parts: int) -> None:
        started = time.monotonic()
        latest = math.inf if spec.group_seconds is None else started + spec.group_seconds
        own = math.inf if tuning.tune_seconds is None else started + tuning.tune_seconds
        self.first = search.first
        self._search = replace(search, latest=min(search.latest, latest), limit=own)
        self._waiting = parts * len(tuning.spaces)

    def next(self) -> Search:
        """Say when the next search ends, and what it tries first."""
        now = time.monotonic()
        ends = (self._search.until, self._search.latest, self._search.limit)
        until, latest, limit = (now + (end - now) / self._waiting for end in ends)
        self._waiting -= 1
        return replace(self._search, first=self.first, until=until, latest=latest, limit=limit)


def _search(part: GroupData, spec: FitSpec, turns: _Turns, records: list[TuningRecord]) -> tuple[Candidate, ...]:
    assert spec.tuning is not None
    spaces = spec.tuning.spaces
    return tuple(
        _tuned(candidate, part, spec, turns.next(), records) if candidate.name in spaces else candidate
        for candidate in spec.candidates
    )


def _tuned(
    candidate: Candidate, part: GroupData, spec: FitSpec, search: Search, records: list[TuningRecord]
) -> Candidate:
    started = time.perf_counter()
    record = TuningRecord(candidate.name, candidate.label, reason=search.refusal)
    study = None
    try:
        if not search.refusal:
            study = Study(candidate, part, spec)
            candidate, record = study.run(search)
    except OutOfTime:
        record = replace(record, reason="no time left")
    except TimeLimitReached:
        record = replace(record if study is None else study.record(), reason="the group's time limit")
        raise
    except Terminated:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a group that cannot be tuned is fitted as it is
        record = replace(record, reason=error_text(error))
    finally:
        records.append(replace(record, seconds=time.perf_counter() - started, latest=_latest(part, search)))
    return candidate


def _latest(part: GroupData, search: Search) -> float | None:
    if part.times is None:
        return None
    latest: float = part.times.max().item()
    return max(latest, search.first_latest) if search.first and search.first_latest is not None else latest


def _together(record: TuningRecord, found: Sequence[TuningRecord]) -> TuningRecord:
    """Add a fold's trials and time to the record of the search on all rows."""
    same = [one for one in found if one.candidate == record.candidate]
    return replace(
        record,
        trials=record.trials + sum(one.trials for one in same),
        pruned=record.pruned + sum(one.pruned for one in same),
        failed=record.failed + sum(one.failed for one in same),
        seconds=record.seconds + sum(one.seconds for one in same),
    )
