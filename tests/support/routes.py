"""Routes, children and batches for the tests of routing: what a loop over single rows answers is known."""

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from metamodel.exceptions import CorruptBundle, InvalidKey, TrainingFailed, UnknownGroup
from metamodel.prediction.routing import Route
from metamodel.tables.feature_columns import Feature
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import KeyColumn, KeySchema

KEYS = KeySchema((KeyColumn("country", "string"), KeyColumn("store", "integer")))
FEATURES = FeatureSchema((Feature("x", "number", "float64"), Feature("z", "number", "float64")), "array")


@dataclass
class Line:
    """Answers slope · x + z; raises on x = 13 and gives NaN for x = 17."""

    slope: float

    def predict(self, x):
        if (x[:, 0] == 13).any():
            raise ValueError("13 brings bad luck")
        return np.where(x[:, 0] == 17, np.nan, self.slope * x[:, 0] + x[:, 1])


@dataclass
class Labels:
    """Answers with its first class up to x = 0 and with its last one above."""

    classes: list
    classes_: np.ndarray = field(init=False)

    def __post_init__(self):
        self.classes_ = np.array(self.classes)

    def predict(self, x):
        return self.classes_[np.where(x[:, 0] > 0, -1, 0)]

    def predict_proba(self, x):
        given = np.zeros((len(x), len(self.classes)))
        given[np.arange(len(x)), np.where(x[:, 0] > 0, -1, 0)] = 1
        return given


class Store:
    """Children in a dict; an exception in a child's place is raised when it is loaded."""

    def __init__(self, children):
        self.children = children

    def load(self, key, *, keep=True):
        found = self.children.get(key, UnknownGroup(f"No child model for group {key}."))
        if isinstance(found, Exception):
            raise found
        return found, f"version of {key}"

    def should_keep(self, n_groups):
        return True

    def ahead(self, keys, *, keep):
        return nullcontext(self.load)


CHILDREN = {
    ("FR", 7): Line(1),
    ("FR", 8): Line(2),
    ("DE", 7): Line(3),
    ("DE", 8): TrainingFailed("No child model for group ('DE', 8): it was failed in training."),
    ("IT", 7): CorruptBundle("The child of group ('IT', 7) is damaged."),
    ("FR",): Line(100),
    ("IT",): Line(300),
    (): Line(1000),
}
REGRESSION = Route(KEYS, FEATURES, "regression", None, (), (1, 0))


def naive(frame, children, route, unknown):
    """Answer one row at a time: (prediction, status)."""
    answers = []
    for row in frame.to_dict("records"):
        try:
            key = tuple(KEYS.canonical_value(i, row[name]) for i, name in enumerate(KEYS.names))
        except InvalidKey:
            answers.append((np.nan, "invalid_key"))
            continue
        chain = [key, *(key[:level] for level in route.levels)] if unknown == "fallback" else [key]
        found = [children.get(candidate, UnknownGroup()) for candidate in chain]
        first = next((child for child in found if not isinstance(child, UnknownGroup)), found[0])
        if isinstance(first, TrainingFailed | CorruptBundle):
            answers.append((np.nan, "failed"))
        elif isinstance(first, UnknownGroup):
            answers.append((np.nan, "unknown_group"))
        elif isinstance(row["x"], str) or row["x"] == 13:
            answers.append((np.nan, "failed"))
        else:
            level = len(chain[found.index(first)])
            status = "child" if level == 2 else f"parent:{level}" if level else "global"
            x = np.array([[row["x"], row["z"]]], dtype=float)
            answers.append((first.predict(x)[0], status))
    return answers


COUNTRIES = st.sampled_from(["FR", "DE", "IT", "XX", None, 7])
STORES = st.sampled_from([7, 7.0, "7", 8, True, 7.5, None, 99])
XS = st.sampled_from([0.0, 1.0, -2.5, 13.0, 17.0, "text"])
ROWS = st.lists(st.tuples(COUNTRIES, STORES, XS, st.sampled_from([0.0, 0.5])), max_size=25)


def frame_of(rows, index=None):
    columns = ["country", "store", "x", "z"]
    data = {name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(columns)}
    return pd.DataFrame(data).set_axis(range(len(rows)) if index is None else index)


def simple(*keys, x=1.0):
    return frame_of([(*key, x, 0.5) for key in keys])
