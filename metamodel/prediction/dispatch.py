"""Ask children for their rows, one group after the other; no child that raises hides another one's answers."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from metamodel.common.arrays import IntArray
from metamodel.common.messages import count, error_text, listing
from metamodel.exceptions import BundleError, ChildUnavailable, InvalidKey, RowsRefused, TrainingFailed, UnknownGroup
from metamodel.prediction.answer_form import AnswerForm
from metamodel.prediction.answers import Answers
from metamodel.prediction.pooled_model import BY_POOLED, POOLED
from metamodel.prediction.protocols import ChildStore, Load
from metamodel.prediction.tally import Tally
from metamodel.tables.features import FeatureTable
from metamodel.tables.grouping import Grouping
from metamodel.tables.keys import GroupKey

__all__ = ["AskedChildren", "Rows"]

_LoadPooled = Callable[[], tuple[Any, str]]

# A child that raises is asked again with half the rows, to find the rows it cannot answer; after this many failures
# without one success it is taken to fail always.
_PATIENCE = 256


@dataclass(frozen=True)
class Rows:
    """A slice of the table in group order."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """The same as Python's slice."""
        return slice(self.start, self.stop)

    def halves(self) -> "list[Rows]":
        """Cut in two; the second half comes first, as a stack wants it."""
        middle = (self.start + self.stop) // 2
        return [Rows(middle, self.stop), Rows(self.start, middle)]


@dataclass(frozen=True)
class _OfGroup:
    """Rows of a group."""

    key: GroupKey
    rows: Rows


@dataclass(frozen=True)
class _Orphan(_OfGroup):
    """Rows of a group without a child."""

    error: UnknownGroup


@dataclass(frozen=True)
class _Asked:
    """A child and the rows it is asked for; `order` says where these stand among all rows, None for the same places."""

    child: Any
    level: int
    version: str
    table: FeatureTable
    order: IntArray | None = None

    def where(self, rows: Rows) -> slice | IntArray:
        """Where a slice of the table stands among all rows."""
        return rows.slice if self.order is None else self.order[rows.slice]


class _Awaited(Protocol):
    """An answer that a child far away will have given when `result` returns it, or raises."""

    def result(self) -> Any: ...


class AskedChildren:
    """Rows in group order that children answer one group after the other.

    Parameters
    ----------
    levels
        Levels of the fallback chain that exist; `POOLED` for the pooled model.
    table
        The rows' features, in group order.
    form
        What the answers look like.
    tally
        Where to count the time.
    answers
        Where to put the answers, in the order of `table`.
    """

    def __init__(
        self, levels: Sequence[int], table: FeatureTable, form: AnswerForm, tally: Tally, answers: Answers
    ) -> None:
        self.answers = answers
        self._levels = levels
        self._table = table
        self._form = form
        self._tally = tally
        self._orphans: list[_Orphan] = []
        self._of_pooled: list[_OfGroup] = []
        self._awaited: list[tuple[_Asked, Rows, _Awaited]] = []

    def ask(self, grouping: Grouping, store: ChildStore) -> None:
        """Ask every group's child for its rows, and parents where the policy says so.

        Parameters
        ----------
        grouping
            The rows' groups; `table` has the rows in their order.
        store
            Where children come from.

        Raises
        ------
        UnknownGroup
            Under the policy "error", when a group has no child: after all others were asked.
        """
        groups = np.flatnonzero(grouping.counts).tolist()
        keys = [key for i in groups if isinstance(key := grouping.keys[i], tuple)]
        unknown: dict[GroupKey | InvalidKey, UnknownGroup] = {}
        bounds = grouping.bounds.tolist()
        detail = self._form.options.detail
        keep = store.should_keep(len(groups))

        def pooled() -> tuple[Any, str]:
            return store.pooled(keep=keep)

        with store.ahead(keys, keep=keep) as load:
            for i in groups:
                if detail:
                    self.answers.name(slice(bounds[i], bounds[i + 1]), grouping.texts[i])
                try:
                    self._answer(grouping.keys[i], Rows(bounds[i], bounds[i + 1]), load)
                except UnknownGroup as error:
                    unknown[grouping.keys[i]] = error
            self._answer_orphans(load, pooled)
            self._answer_pooled(self._of_pooled, pooled)
        self._collect()
        if unknown:
            first = next(iter(unknown.values()))
            groups_named = f"{count(len(unknown), 'group')} without a child model: {listing(unknown)}"
            raise UnknownGroup(f"{groups_named}. First: {first}")

    def _answer(self, key: GroupKey | InvalidKey, rows: Rows, load: Load) -> None:
        """Answer one group's rows; under "fallback" those without a child wait for `_answer_orphans`."""
        answers, unknown = self.answers, self._form.options.unknown
        if isinstance(key, InvalidKey):
            answers.refuse(rows.slice, "invalid_key", str(key))
            return
        try:
            child, version = load(key)
        except BundleError as error:
            answers.refuse(rows.slice, "failed", str(error))
        except UnknownGroup as error:
            if unknown == "error":
                raise
            orphan = _Orphan(key, rows, error)
            if unknown == "fallback":
                self._orphans.append(orphan)
            else:
                self._refuse(orphan)
        else:
            if child is BY_POOLED:
                self._of_pooled.append(_OfGroup(key, rows))
            else:
                self._ask(_Asked(child, len(key), version, self._table), rows)

    def _answer_orphans(self, load: Load, pooled: _LoadPooled) -> None:
        """Let parents answer for groups without a child: each parent is loaded and asked once, for all its groups."""
        orphans, self._orphans = self._orphans, []
        for level in self._levels:
            if level == POOLED:
                self._answer_pooled(orphans, pooled)
                return
            families: dict[GroupKey, list[_Orphan]] = {}
            for orphan in orphans:
                families.setdefault(orphan.key[:level], []).append(orphan)
            orphans = []
            for parent, family in families.items():
                try:
                    self._answer_family(parent, family, load)
                except UnknownGroup:
                    orphans += family
        for orphan in orphans:
            self._refuse(orphan)

    def _answer_pooled(self, groups: Sequence[_OfGroup], load: _LoadPooled) -> None:
        """Let the pooled model answer groups, known ones and others: it is asked once, for all of them."""
        if not groups:
            return
        where = _rows_of(groups)
        try:
            model, version = load()
        except BundleError as error:
            self.answers.refuse(where, "failed", str(error))
            return
        codes = np.repeat(np.arange(len(groups)), [len(group.rows) for group in groups])
        table = model.table(self._table.take(where), [group.key for group in groups], codes)
        self._ask(_Asked(model.estimator, POOLED, version, table, where), Rows(0, len(where)))

    def _answer_family(self, parent: GroupKey, family: Sequence["_Orphan"], load: Load) -> None:
        where = _rows_of(family)
        try:
            child, version = load(parent)
        except BundleError as error:
            self.answers.refuse(where, "failed", str(error))
        else:
            self._ask(_Asked(child, len(parent), version, self._table.take(where), where), Rows(0, len(where)))

    def _refuse(self, orphan: "_Orphan") -> None:
        status = "failed" if isinstance(orphan.error, TrainingFailed) else "unknown_group"
        self.answers.refuse(orphan.rows.slice, status, str(orphan.error))

    def _ask(self, asked: "_Asked", rows: Rows) -> None:
        """Ask for a group's rows: those that do not fit the recorded form apart, so that they change no other row's."""
        odd = asked.table.odd
        if odd is None or not odd.ways[rows.slice].any():
            self._ask_alike(asked, rows)
            return
        for positions, table in asked.table.alike(rows.start, rows.stop):
            order = positions if asked.order is None else asked.order[positions]
            self._ask_alike(replace(asked, table=table, order=order), Rows(0, len(positions)))

    def _ask_alike(self, asked: "_Asked", rows: Rows) -> None:
        for part, problem in _usable(rows, asked.table):
            if problem:
                self.answers.refuse(asked.where(part), "failed", problem)
            elif hasattr(asked.child, "submit"):
                # Far away: the others are asked while it thinks.
                ask = partial(self._form.ask, x=asked.table.slice(part.start, part.stop))
                self._awaited.append((asked, part, asked.child.submit(ask)))
            else:
                self._ask_usable(asked, part)

    def _collect(self) -> None:
        """Wait for the children that were asked from afar; those that can answer some rows are asked for these."""
        awaited, self._awaited = self._awaited, []
        for asked, rows, answer in awaited:
            try:
                labels, further = answer.result()
            except ChildUnavailable as error:
                self.answers.refuse(asked.where(rows), "failed", str(error))
            except RowsRefused as error:
                self._ask_once_more(replace(asked, child=asked.child.with_one_deadline()), rows, error)
            except Exception as error:  # noqa: BLE001 - an answer may be anything, and the other rows must be answered
                self.answers.refuse(asked.where(rows), "failed", error_text(error))
            else:
                self.answers.accept(asked.where(rows), asked.level, asked.version[:12], labels, further)

    def _ask_once_more(self, asked: "_Asked", rows: Rows, error: RowsRefused) -> None:
        """Ask for refused rows again, but for those that lack a value that the child needs."""
        is_missing = asked.table.rows_without(error.column)[rows.slice]
        if not is_missing.any():
            self._ask_usable(asked, rows)
            return
        answerable = rows.start + np.flatnonzero(~is_missing)
        refused = rows.start + np.flatnonzero(is_missing)
        self.answers.refuse(refused if asked.order is None else asked.order[refused], "failed", error_text(error))
        if len(answerable):
            order = answerable if asked.order is None else asked.order[answerable]
            self._ask_usable(replace(asked, table=asked.table.take(answerable), order=order), Rows(0, len(answerable)))

    def _ask_usable(self, asked: "_Asked", rows: Rows) -> None:
        """Let a child answer a slice; where it raises, find the rows it cannot answer by halving.

        Where the child names the column whose missing values it does not take, there is nothing to find.
        """
        waiting, failures, successes = deque([rows]), 0, 0
        while waiting:
            # In turn the smallest and the largest part: bad rows may stand in one block or be spread everywhere.
            rows_asked = waiting.pop() if failures % 2 else waiting.popleft()
            started = time.perf_counter()
            try:
                labels, further = self._form.ask(asked.child, asked.table.slice(rows_asked.start, rows_asked.stop))
            except ChildUnavailable as error:  # asking for half the rows would not help
                self.answers.refuse(asked.where(rows_asked), "failed", str(error))
            except Exception as error:  # noqa: BLE001 - a child may raise anything, and the other rows must be answered
                failures += 1
                if isinstance(error, RowsRefused) and asked.table.rows_without(error.column)[rows_asked.slice].any():
                    self._ask_once_more(asked, rows_asked, error)
                elif len(rows_asked) == 1 or (failures >= _PATIENCE and not successes):
                    self.answers.refuse(asked.where(rows_asked), "failed", error_text(error))
                else:
                    waiting += rows_asked.halves()
            else:
                successes += 1
                self.answers.accept(asked.where(rows_asked), asked.level, asked.version[:12], labels, further)
            finally:
                self._tally.seconds_predicting += time.perf_counter() - started


def _rows_of(groups: Sequence[_OfGroup]) -> IntArray:
    """Positions of the rows of some groups, group by group."""
    return np.concatenate([np.arange(group.rows.start, group.rows.stop) for group in groups])


def _usable(rows: Rows, table: FeatureTable) -> Iterator[tuple[Rows, str]]:
    """Cut a slice at the rows whose features cannot be used; those come with the problem."""
    start = rows.start
    for row in sorted(row for row in table.problems if rows.start <= row < rows.stop) if table.problems else []:
        if start < row:
            yield Rows(start, row), ""
        yield Rows(row, row + 1), table.problems[row]
        start = row + 1
    if start < rows.stop:
        yield Rows(start, rows.stop), ""
