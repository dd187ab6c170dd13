"""The feature columns as the training table had them, and how a later table is brought to the same form.

A child model that takes arrays gets slices of one contiguous matrix; one that needs column names gets slices of one
frame. Both forms come from here, in training and in prediction alike, so that a child never sees a kind it was not
fitted on. A value that cannot be converted (text where a number belongs) spoils its own row and no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, listing
from metamodel.exceptions import InputError
from metamodel.tables.feature_columns import Feature, column_kind
from metamodel.tables.feature_table import FeatureTable, OddRows
from metamodel.tables.feature_values import convert
from metamodel.tables.grouping import check_columns

__all__ = ["FeatureColumns", "FeatureSchema", "FeatureTable", "Layout"]

Layout = Literal["array", "frame"]

# Rows of a matrix that are filled at a time; they stay in the processor's cache.
_CHUNK_ROWS = 4096

# pandas' own dtype for text (object, since pandas 3 str); it guesses from the values otherwise, and nulls tell nothing.
_TEXT = pd.Series(["text"]).dtype


@dataclass(frozen=True)
class FeatureColumns:
    """The features of many rows, column by column, as far as possible without a copy of the caller's table.

    Attributes
    ----------
    arrays
        One array for each feature, in order.
    problems
        Row position → why this row's features cannot be used.
    schema
        The features' schema.
    matrix
        The same as one matrix, where it is there already.
    odd
        Of children that take frames: the rows that do not fit the recorded form.
    """

    arrays: list[Any]
    problems: dict[int, str]
    schema: "FeatureSchema"
    matrix: AnyArray | None = None
    odd: OddRows | None = None

    def table(self) -> FeatureTable:
        """Put the columns into the form that children take."""
        if self.schema.layout == "frame":
            rows = pd.RangeIndex(len(self.arrays[0]))
            columns = {
                feature.name: pd.Series(values, dtype=_TEXT, index=rows) if feature.form == "text" else values
                for feature, values in zip(self.schema.features, self.arrays, strict=True)
            }
            return FeatureTable(pd.DataFrame(columns, index=rows), self.problems, self.odd)
        if self.matrix is not None:
            return FeatureTable(self.matrix, self.problems)
        matrix = np.empty((len(self.arrays[0]), len(self.arrays)), dtype=self.schema.matrix_dtype)
        # Part by part: a column written at once would go through the cache line by line for every column anew.
        for start in range(0, len(matrix), _CHUNK_ROWS):
            stop = start + _CHUNK_ROWS
            for i, values in enumerate(self.arrays):
                matrix[start:stop, i] = values[start:stop]
        return FeatureTable(matrix, self.problems)

    def as_given(self, i: int) -> Any:
        """One feature as far as the rows have it, shape (n_rows,): without what stands in for what does not fit.

        A null or a fraction where children see integers is what it is, an unseen category has its name. What cannot be
        read at all is missing.
        """
        feature, values, odd = self.schema.features[i], self.arrays[i], self.odd
        if odd is not None and feature.name in odd.floats:
            values = odd.floats[feature.name]
        if self.problems and feature.is_whole and self.schema.layout == "frame":
            values = np.array(values, dtype=np.float64)
            values[list(self.problems)] = np.nan
        unseen = {} if odd is None else {way: new.get(feature.name) for way, new in enumerate(odd.wider, 1)}
        if any(level is not None for level in unseen.values()):
            assert odd is not None
            values = np.array(values, dtype=object)
            for way, level in unseen.items():
                if level is not None:
                    values[odd.ways == way] = level
        return values


@dataclass(frozen=True)
class FeatureSchema:
    """The features of a model, in order, and the form in which its children take them.

    Parameters
    ----------
    features
        The columns.
    layout
        "array": one matrix (every feature is a number or a boolean); "frame": a DataFrame with the columns' names.
    """

    features: tuple[Feature, ...]
    layout: Layout = "frame"

    @cached_property
    def names(self) -> list[str]:
        """Names of the feature columns, in the order that children expect."""
        return [feature.name for feature in self.features]

    @cached_property
    def texts(self) -> list[str]:
        """Names of the features whose values are texts, which a CSV file must not turn into numbers."""
        categories = [one for one in self.features if one.kind == "category" and one.level_kind == "text"]
        return [one.name for one in self.features if one.kind == "string" or one in categories]

    @property
    def all_numeric(self) -> bool:
        """Whether the features fit into one matrix of numbers."""
        return all(feature.kind in ("number", "boolean") for feature in self.features)

    @cached_property
    def narrow(self) -> list[tuple[int, str]]:
        """Position and dtype of the features that were narrower than double precision in training."""
        return [(i, feature.form) for i, feature in enumerate(self.features) if feature.form in ("float16", "float32")]

    @cached_property
    def matrix_dtype(self) -> np.dtype[Any]:
        """float32 where every feature was float32 in training, as scikit-learn would keep it; else float64."""
        return np.dtype("float32" if self.features and len(self.narrow) == len(self.features) else "float64")

    @classmethod
    def infer(cls, frame: pd.DataFrame, names: Sequence[str]) -> Self:
        """Read the features off the training table.

        Raises
        ------
        InputError
            There is no feature, or a column holds something no estimator takes (lists, dicts, mixed objects).
        """
        if not names:
            raise InputError(
                "There is no feature column left besides group, target, time and weight. Name some in features."
            )
        check_columns(frame, names, "feature column")
        features = tuple(Feature.infer(name, frame[name]) for name in names)
        if odd := [feature.name for feature in features if feature.kind == "object"]:
            found = types.infer_dtype(frame[odd[0]], skipna=True)
            raise InputError(
                f"Feature column {listing(map(repr, odd))} holds values of no usable kind ({found}). "
                "Convert it to numbers, booleans, strings, categories or timestamps, or leave it out of features."
            )
        return cls(features)

    def table(self, frame: pd.DataFrame) -> FeatureTable:
        """Bring a table's feature columns to the training form.

        Parameters
        ----------
        frame
            Any table that has the features; other columns and the columns' order do not matter.

        Raises
        ------
        MissingColumns
            A feature is not there.
        """
        return self.columns(frame).table()

    def columns(self, frame: pd.DataFrame) -> FeatureColumns:
        """Bring a table's feature columns to the training form, each for itself; raises as `table` does."""
        check_columns(frame, self.names, "feature column")
        problems: dict[int, str] = {}
        matrix = self.layout == "array"
        columns = {one.name: convert(frame[one.name], one, problems, matrix=matrix) for one in self.features}
        odd = OddRows.of(columns, [feature.name for feature in self.features if feature.is_whole])
        return FeatureColumns([column.values for column in columns.values()], problems, self, odd=odd)

    def training_table(self, frame: pd.DataFrame) -> FeatureTable:
        """Bring the training table to the form that was read off it.

        Raises
        ------
        InputError
            A value cannot be brought there: a column holds values of different kinds.
        """
        table = self.table(frame)
        if table.problems:
            row, problem = min(table.problems.items())
            raise InputError(
                f"{problem.rstrip('.')} in {count(len(table.problems), 'row')} of the training table (first: row "
                f"{row}). Give all values of the column in one kind, or leave it out of features."
            )
        return table

    def check_kinds(self, frame: pd.DataFrame) -> None:
        """Refuse a table with a numeric feature that holds no number at all, before any row is scored.

        Raises
        ------
        InputError
            With the names of the columns and what they hold.
        """
        check_columns(frame, self.names, "feature column")
        for feature in self.features:
            found = column_kind(frame[feature.name])
            wrong = ("timestamp",) if feature.null_texts else ("string", "timestamp")
            if feature.kind == "number" and found in wrong and len(frame):
                raise InputError(
                    f"Feature column {feature.name!r} holds {found}s, but the model was trained on {feature.dtype}. "
                    "Convert the column, or check that the right one carries this name."
                )

    def with_null_texts(self, texts: Mapping[str, tuple[str, ...]]) -> Self:
        """Record of some features which texts among their numbers are null."""
        features = tuple(replace(one, null_texts=texts.get(one.name, ())) for one in self.features)
        return replace(self, features=features)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, for the manifest."""
        return {"features": [asdict(feature) for feature in self.features], "layout": self.layout}

    def decisive(self) -> dict[str, Any]:
        """Give what decides what children see: a matrix has the same numbers whatever types its columns came from."""
        of_table = {"dtype", "form"} if self.layout == "array" else {"dtype"}
        features = [
            {name: value for name, value in asdict(feature).items() if name not in of_table}
            for feature in self.features
        ]
        return {"features": features, "layout": self.layout, "narrow": sorted(self.narrow)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(tuple(Feature.from_dict(feature) for feature in data["features"]), data["layout"])
