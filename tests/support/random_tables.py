"""Random tables, and every way in which the rows of one reach a model."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from echo_child import Echo, EchoLabels
from hypothesis import strategies as st
from random_columns import FEATURES, KEYS, LABELS, QUANTITIES, Kind

__all__ = ["RandomTable", "random_tables"]

REGRESSORS = ["ridge", "hist_gradient_boosting", "decision_tree", "nearest_neighbors", "linear_regression"]
CLASSIFIERS = ["logistic_regression", "decision_tree", "gaussian_nb", "hist_gradient_boosting"]

# Named estimators take no timestamps, and say so.
UNTIMED = [kind for kind in FEATURES if not isinstance(kind.pick(0), dt.date)]


@dataclass(frozen=True)
class RandomTable:
    """What a table consists of; its rows follow from it.

    Attributes
    ----------
    keys, features
        Each column's kind, and whether it has nulls.
    target
        Its kind, and whether it has nulls.
    is_label
        Whether the model is a classifier.
    estimator
        "echo" for the child that answers with all it sees, or a name.
    groups, rows
        How many of each; rows are those of the training table.
    weights, time
        Whether the table has such columns.
    seed
        Of the values.
    """

    keys: tuple[tuple[Kind, bool], ...]
    features: tuple[tuple[Kind, bool], ...]
    target: tuple[Kind, bool]
    is_label: bool
    estimator: str
    groups: int
    rows: int
    weights: bool
    time: bool
    unknown: str
    seed: int

    @property
    def key_names(self) -> list[str]:
        return [f"k{i}" for i in range(len(self.keys))]

    @property
    def feature_names(self) -> list[str]:
        return [f"f{i}" for i in range(len(self.features))]

    @property
    def null_keys(self) -> str:
        return "group" if any(nulls for _, nulls in self.keys) else "error"

    @property
    def child(self) -> Any:
        if self.estimator != "echo":
            return self.estimator
        return EchoLabels() if self.is_label else Echo()

    def options(self) -> dict[str, Any]:
        """Arguments of `metamodel.train` beside the table."""
        return {
            "group_by": self.key_names,
            "target": "y",
            "estimator": self.child,
            "features": self.feature_names,
            "null_keys": self.null_keys,
            "sample_weight": "w" if self.weights else None,
            "time_column": "t" if self.time else None,
            "unknown": self.unknown,
            "holdout": 0.2 if self.seed % 2 else 0,
            "n_jobs": 1,
        }

    def training(self) -> pd.DataFrame:
        """The table that is trained on."""
        rng = np.random.default_rng(self.seed)
        columns = self._columns(rng, self.rows, asked=False)
        kind, nulls = self.target
        target = [kind.pick(int(i)) for i in rng.integers(0, 40, self.rows)]
        columns["y"] = kind.column([None if nulls and rng.random() < 0.1 else value for value in target])
        if self.weights:
            columns["w"] = pd.Series(rng.integers(1, 5, self.rows) / 2)
        if self.time:
            columns["t"] = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(self.rows), unit="D"))
        return pd.DataFrame(columns)

    def asked(self) -> pd.DataFrame:
        """The rows that are asked for, as objects; some have a null, or a value that training did not see."""
        return pd.DataFrame(self._columns(np.random.default_rng(self.seed + 1), 12, asked=True))

    def in_training_dtypes(self, asked: pd.DataFrame) -> pd.DataFrame:
        """The same rows, column by column in the dtype of training where it holds them."""
        columns = {}
        for name, (kind, _) in zip([*self.key_names, *self.feature_names], [*self.keys, *self.features], strict=True):
            values = [None if pd.isna(value) else value for value in asked[name]]
            columns[name] = _in_dtype(kind, values)
        return pd.DataFrame(columns)

    def _columns(self, rng: np.random.Generator, rows: int, *, asked: bool) -> dict[str, pd.Series]:
        columns: dict[str, pd.Series] = {}
        groups = rng.integers(0, self.groups, rows) if asked else np.arange(rows) % self.groups
        for name, (kind, nulls) in zip(self.key_names, self.keys, strict=True):
            values = [None if nulls and group == 0 else kind.pick(int(group)) for group in groups]
            columns[name] = _objects(_spiced(rng, kind, values, 0.1)) if asked else kind.column(values)
        for name, (kind, nulls) in zip(self.feature_names, self.features, strict=True):
            values = [kind.pick(int(i)) for i in rng.integers(0, 60, rows)]
            if nulls and not asked:
                values = [None if rng.random() < 0.2 else value for value in values]
            columns[name] = _objects(_spiced(rng, kind, values, 0.15)) if asked else kind.column(values)
        return columns


def _spiced(rng: np.random.Generator, kind: Kind, values: Sequence[Any], share: float) -> list[Any]:
    """Put a null, or a value that training does not see, in some places."""
    strange = [None, *kind.unseen]
    return [strange[int(rng.integers(len(strange)))] if rng.random() < share else value for value in values]


def _objects(values: Sequence[Any]) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def _in_dtype(kind: Kind, values: list[Any]) -> pd.Series:
    """Hold values in the dtype of training, or as objects where it cannot hold one of them."""
    try:
        column = kind.column(values)
    except (TypeError, ValueError, OverflowError):  # a fraction among integers, and such
        return _objects(values)
    held = zip(values, column.astype(object), strict=True)
    same = all(pd.isna(cell) if value is None else cell == value for value, cell in held)
    return column if same else _objects(values)


def _columns_of(kinds: Sequence[Kind], most: int) -> st.SearchStrategy[tuple[tuple[Kind, bool], ...]]:
    return st.lists(st.tuples(st.sampled_from(kinds), st.booleans()), min_size=1, max_size=most).map(tuple)


@st.composite
def random_tables(draw: st.DrawFn) -> RandomTable:
    """Draw a table and the training that is asked of it."""
    is_label = draw(st.booleans())
    estimator = draw(st.sampled_from(["echo", "echo", *(CLASSIFIERS if is_label else REGRESSORS)]))
    return RandomTable(
        keys=draw(_columns_of(KEYS, 2)),
        features=draw(_columns_of(FEATURES if estimator == "echo" else UNTIMED, 4)),
        target=(draw(st.sampled_from(LABELS if is_label else QUANTITIES)), draw(st.booleans())),
        is_label=is_label,
        estimator=estimator,
        groups=draw(st.integers(2, 6)),
        rows=draw(st.integers(24, 60)),
        weights=draw(st.booleans()) and estimator != "nearest_neighbors",
        time=draw(st.booleans()),
        unknown=draw(st.sampled_from(["null", "fallback"])),
        seed=draw(st.integers(0, 2**20)),
    )
