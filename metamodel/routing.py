"""Send every row of a mixed table to its group's child, and say who answered it.

Rows in = rows out, in the same order and under the same index, whatever the table holds. Children come through the
small `ChildStore` protocol, so that this room knows nothing of files.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import pandas as pd

from metamodel.exceptions import ChildFailed, CorruptBundle, InputError, InvalidKey, TrainingFailed, UnknownGroup
from metamodel.features import FeatureSchema, FeatureTable
from metamodel.fitting import error_text
from metamodel.frames import AnyArray, IntArray, group_rows
from metamodel.keys import GroupKey, KeySchema, encode_key
from metamodel.spec import UnknownPolicy, one_of
from metamodel.wording import count, listing

__all__ = ["DETAIL_COLUMNS", "ChildStore", "PredictOptions", "Route", "output_columns", "probability_column"]

PredictMethod = Literal["predict", "predict_proba"]
DETAIL_COLUMNS = ("key", "level", "child_version", "error")
# A child that raises is asked again with half the rows, to find the rows it cannot answer; after this many failures
# without one success it is taken to fail always.
_PATIENCE = 256
_NUMPY_KINDS = {"integer": "iu", "boolean": "b", "number": "fiu", "string": "U"}
# pandas' own dtype for text (object, since pandas 3 str), fixed here because pandas guesses from the values otherwise.
_TEXT = pd.Series(["text"]).dtype
_PANDAS_DTYPES = {"integer": "Int64", "boolean": "boolean", "number": "float64", "string": _TEXT}

_Load = Callable[[GroupKey], tuple[Any, str]]


class ChildStore(Protocol):
    """Where children come from: key → (child, version), raising `UnknownGroup` or `CorruptBundle`."""

    def load(self, key: GroupKey, *, keep: bool = True) -> tuple[Any, str]:
        """Load one child."""
        ...

    def should_keep(self, n_groups: int) -> bool:
        """Whether a batch over this many groups should leave its children in the cache."""
        ...


@dataclass(frozen=True)
class PredictOptions:
    """The choices of one call to predict.

    Parameters
    ----------
    detail
        Add who answered each row: key, level, version of the child, and error.
    predict_method
        "predict", or "predict_proba" to add one probability column for every class.
    unknown
        What to do with a group without a child: "null", "error" or "fallback".
    """

    detail: bool = False
    predict_method: PredictMethod = "predict"
    unknown: UnknownPolicy = "null"

    def __post_init__(self) -> None:
        one_of("predict_method", self.predict_method, get_args(PredictMethod))
        one_of("unknown", self.unknown, get_args(UnknownPolicy))
        if not isinstance(self.detail, bool):
            raise InputError(f"detail={self.detail!r} is neither true nor false.")


@dataclass(frozen=True)
class Route:
    """Everything about a meta-model that routing needs, besides its children.

    Parameters
    ----------
    keys, features
        The recorded schemas.
    task
        "regression" or "classification".
    label_kind, classes
        For classifiers: kind of the labels, and the sorted union of the classes of all groups.
    levels
        Levels of the fallback chain that exist, from the longest prefix to 0 (global).
    """

    keys: KeySchema
    features: FeatureSchema
    task: str
    label_kind: str | None
    classes: tuple[Any, ...]
    levels: tuple[int, ...]

    def predict(self, frame: pd.DataFrame, store: ChildStore, options: PredictOptions) -> pd.DataFrame:
        """Answer every row.

        Parameters
        ----------
        frame
            Any table with the group columns and the features; further columns are ignored.
        store
            Where children come from.
        options
            The call's choices.

        Returns
        -------
        DataFrame
            One row for every row of `frame`, under its index: `prediction`, the probability columns if asked for,
            `status` ("child", "parent:<level>", "global", "unknown_group", "invalid_key", "failed"), and the detail
            if asked for.

        Raises
        ------
        MissingColumns
            A group column or a feature is not in the table.
        UnknownGroup
            Under the policy "error", when a group has no child.
        """
        self.check(options)
        grouping = group_rows(frame, self.keys)
        table = self.features.table(frame).take(grouping.order)
        answers = _Answers(len(frame), self, options)
        keep = store.should_keep(len(grouping.keys))
        unknown: list[str] = []
        for i, key in enumerate(grouping.keys):
            rows = _Rows(int(grouping.bounds[i]), int(grouping.bounds[i + 1]))
            try:
                self._answer(key, rows, table, lambda wanted: store.load(wanted, keep=keep), answers, options)
            except UnknownGroup as error:
                unknown.append(str(error))
        if unknown:
            raise UnknownGroup(f"{count(len(unknown), 'group')} without a child model. First: {listing(unknown, 1)}")
        return answers.frame(grouping.order, frame.index)

    def check(self, options: PredictOptions) -> None:
        """Raise `InputError` where this model cannot do what the options ask for."""
        if options.predict_method == "predict_proba" and self.task != "classification":
            raise InputError("predict_method='predict_proba' needs a classifier, but this model does regression.")

    def _answer(
        self,
        key: GroupKey | InvalidKey,
        rows: "_Rows",
        table: FeatureTable,
        load: "_Load",
        answers: "_Answers",
        options: PredictOptions,
    ) -> None:
        if isinstance(key, InvalidKey):
            answers.refuse(rows, "invalid_key", str(key))
            return
        answers.name(rows, key)
        try:
            found, child, version = self._find(key, load, options.unknown)
        except CorruptBundle as error:
            answers.refuse(rows, "failed", str(error))
        except UnknownGroup as error:
            if options.unknown == "error":
                raise
            answers.refuse(rows, "failed" if isinstance(error, TrainingFailed) else "unknown_group", str(error))
        else:
            for part, problem in _usable(rows, table):
                if problem:
                    answers.refuse(part, "failed", problem)
                else:
                    self._ask(child, found, version, part, table, answers)

    def _find(self, key: GroupKey, load: "_Load", unknown: UnknownPolicy) -> tuple[GroupKey, Any, str]:
        """Load the group's child, or under "fallback" the nearest parent that exists."""
        try:
            return (key, *load(key))
        except UnknownGroup:
            if unknown != "fallback":
                raise
            for level in self.levels:
                try:
                    return (key[:level], *load(key[:level]))
                except UnknownGroup:
                    continue
            raise

    def _ask(
        self, child: Any, found: GroupKey, version: str, rows: "_Rows", table: FeatureTable, answers: "_Answers"
    ) -> None:
        """Let a child answer a slice; where it raises, find the rows it cannot answer by halving."""
        waiting, failures, successes = deque([rows]), 0, 0
        while waiting:
            # In turn the smallest and the largest part: bad rows may stand in one block or be spread everywhere.
            part = waiting.pop() if failures % 2 else waiting.popleft()
            try:
                labels, probabilities = answers.ask(child, table.slice(part.start, part.stop))
            except Exception as error:  # noqa: BLE001 - a child may raise anything, and the other rows must be answered
                failures += 1
                if len(part) == 1 or (failures >= _PATIENCE and not successes):
                    answers.refuse(part, "failed", error_text(error))
                else:
                    waiting += part.halves()
            else:
                successes += 1
                answers.accept(part, found, len(self.keys.columns), version, labels, probabilities)


@dataclass(frozen=True)
class _Rows:
    """A slice of the table in group order."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def halves(self) -> list["_Rows"]:
        middle = (self.start + self.stop) // 2
        return [_Rows(middle, self.stop), _Rows(self.start, middle)]


def _usable(rows: _Rows, table: FeatureTable) -> Iterator[tuple[_Rows, str]]:
    """Cut a slice at the rows whose features cannot be used; those come with the problem."""
    start = rows.start
    for row in sorted(row for row in table.problems if rows.start <= row < rows.stop) if table.problems else []:
        if start < row:
            yield _Rows(start, row), ""
        yield _Rows(row, row + 1), table.problems[row]
        start = row + 1
    if start < rows.stop:
        yield _Rows(start, rows.stop), ""


def probability_column(label: object) -> str:
    """Name of a class's probability column.

    Examples
    --------
    >>> probability_column("NEAR BAY"), probability_column(np.int64(1))
    ('probability_NEAR BAY', 'probability_1')
    """
    return f"probability_{label}"


def output_columns(route: Route, options: PredictOptions) -> list[str]:
    """Names of the columns that a call with these options returns, in order."""
    proba = options.predict_method == "predict_proba"
    probabilities = [probability_column(label) for label in route.classes] if proba else []
    return ["prediction", *probabilities, "status", *(DETAIL_COLUMNS if options.detail else ())]


class _Answers:
    """The output columns, in group order until `frame` puts them back in row order."""

    def __init__(self, n_rows: int, route: Route, options: PredictOptions) -> None:
        self._route = route
        self._options = options
        regression = route.task == "regression"
        self.prediction = np.full(n_rows, np.nan) if regression else np.full(n_rows, None, dtype=object)
        self.status = np.full(n_rows, "unknown_group", dtype=object)
        self._proba = options.predict_method == "predict_proba"
        self.probabilities = np.full((n_rows, len(route.classes) if self._proba else 0), np.nan)
        self._position = {label: i for i, label in enumerate(route.classes)}
        if options.detail:
            self.key = np.full(n_rows, "", dtype=object)
            self.level = np.full(n_rows, -1, dtype=np.int64)
            self.version = np.full(n_rows, "", dtype=object)
            self.error = np.full(n_rows, "", dtype=object)

    def ask(self, child: Any, x: Any) -> tuple[AnyArray, AnyArray | None]:
        """Call the child once or twice and check the shapes of what it returns."""
        rows = len(x)
        labels = np.asarray(child.predict(x))
        if labels.shape not in ((rows,), (rows, 1)):
            raise ChildFailed(f"predict returned shape {labels.shape} for {count(rows, 'row')}")
        if self._route.task == "regression":
            return labels.reshape(rows).astype(np.float64, copy=False), None
        probabilities = self._aligned(child, x) if self._proba else None
        return self._of_label_kind(labels.reshape(rows)), probabilities

    def _of_label_kind(self, labels: AnyArray) -> AnyArray:
        # One child's odd label must not fail when all answers are put into one column.
        kind = self._route.label_kind or "string"
        if labels.dtype.kind in _NUMPY_KINDS[kind]:
            return labels
        try:
            fits = kind != "string" or pd.api.types.infer_dtype(labels, skipna=True) in ("string", "empty")
            converted = pd.array(labels, dtype=_PANDAS_DTYPES[kind])
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ChildFailed(f"predict returned {labels.dtype} labels, but the classes are {kind}s")
        return np.asarray(converted, dtype=object)

    def _aligned(self, child: Any, x: Any) -> AnyArray:
        given = np.asarray(child.predict_proba(x))
        if given.shape != (len(x), len(child.classes_)):
            raise ChildFailed(f"predict_proba returned shape {given.shape} for {count(len(x), 'row')}")
        # A class that this group has never seen has probability 0 here.
        aligned = np.zeros((len(x), len(self._position)))
        aligned[:, [self._position[label] for label in child.classes_.tolist()]] = given
        return aligned

    def accept(
        self, rows: _Rows, found: GroupKey, depth: int, version: str, labels: AnyArray, probabilities: AnyArray | None
    ) -> None:
        """Record what a child answered; `found` is the child's key, `depth` the number of group columns."""
        where = slice(rows.start, rows.stop)
        self.prediction[where] = labels
        level = len(found)
        self.status[where] = "child" if level == depth else f"parent:{level}" if level else "global"
        if probabilities is not None:
            self.probabilities[where] = probabilities
        if self._options.detail:
            self.level[where] = level
            self.version[where] = version[:12]

    def name(self, rows: _Rows, key: GroupKey) -> None:
        """Record the rows' own key."""
        if self._options.detail:
            self.key[rows.start : rows.stop] = encode_key(key)

    def refuse(self, rows: _Rows, status: str, error: str) -> None:
        """Record that nobody answered, and why."""
        self.status[rows.start : rows.stop] = status
        if self._options.detail:
            self.error[rows.start : rows.stop] = error

    def frame(self, order: IntArray, index: pd.Index) -> pd.DataFrame:
        """Put the columns back in row order."""
        columns: dict[str, Any] = {"prediction": self._labels(_scatter(self.prediction, order))}
        if self._proba:
            rows = _scatter(self.probabilities, order)
            columns |= {probability_column(label): rows[:, i] for i, label in enumerate(self._route.classes)}
        columns["status"] = _scatter(self.status, order)
        if self._options.detail:
            values = (self.key, self.level, self.version, self.error)
            columns |= {name: _scatter(v, order) for name, v in zip(DETAIL_COLUMNS, values, strict=True)}
        typed = {name: pd.array(v, dtype=_TEXT) if v.dtype == object else v for name, v in columns.items()}
        return pd.DataFrame({name: pd.Series(values, index=index) for name, values in typed.items()}, index=index)

    def _labels(self, values: AnyArray) -> Any:
        # The dtype depends on the model and never on the batch: one unknown group must not turn every label into a
        # float.
        if self._route.task == "regression":
            return values
        return pd.array(values, dtype=_PANDAS_DTYPES[self._route.label_kind or "string"])


def _scatter(values: AnyArray, order: IntArray) -> AnyArray:
    scattered = np.empty_like(values)
    scattered[order] = values
    return scattered
