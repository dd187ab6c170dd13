"""Compare children with what was read off them: only who answers alike on real rows may enter a stack."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import error_text
from metamodel.prediction.child import class_probabilities, predictions
from metamodel.prediction.stacks.linear import LinearForm
from metamodel.prediction.stacks.linear_reader import linear_form
from metamodel.prediction.stacks.programs import PROGRAMS, Form, Program
from metamodel.prediction.stacks.tree_reader import is_tree_model, tree_form
from metamodel.tables.features import FeatureSchema

__all__ = ["Proven", "Prover", "last_active_step"]

# Children that are compared at a time: their number, and from how many bytes of arrays on.
_BATCH, _BATCH_BYTES = 1000, 2**25


@dataclass(frozen=True)
class Proven:
    """A child that its form answers as it does itself: encoded key, version, and the form."""

    key: str
    version: str
    form: Form


@dataclass(frozen=True)
class _Waiting:
    """A child's form and its own answers, to be compared with the program's."""

    one: Proven
    x: AnyArray
    predicted: AnyArray
    probabilities: AnyArray | None


class Prover:
    """Takes children one by one, and hands back those that passed.

    Parameters
    ----------
    features
        What children take; children that take frames are never stacked.
    classes
        Sorted union of the classes of all groups; empty for regressors.
    refused
        Encoded key → why this child is not in a stack; added to.
    """

    def __init__(self, features: FeatureSchema, classes: tuple[Any, ...], refused: dict[str, str]) -> None:
        self.refused = refused
        self._features = features
        self._classes = classes
        self._waiting: dict[tuple[Any, ...], list[_Waiting]] = {}
        self._number = self._nbytes = 0

    def add(self, key: str, version: str, child: Any, x: AnyArray) -> None:
        """Take a child with a few real rows of its group, shape (n_rows, n_features)."""
        try:
            form = self._form(child)
        except Exception as error:  # noqa: BLE001 - another release of scikit-learn may keep other attributes
            form = f"cannot be read as arrays: {error_text(error)}"
        if isinstance(form, str):
            self.refused[key] = form
            return
        rows = _rows_to_compare(x, form)
        if not len(rows):
            self.refused[key] = "no complete row to compare on"
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                predicted = predictions(child, rows).reshape(len(rows))
                probabilities = self._aligned(child, rows) if form.takes_proba else None
            except Exception as error:  # noqa: BLE001 - a child may raise anything; it will do so when it is asked
                self.refused[key] = f"raised on its own rows: {error_text(error)}"
                return
        self.add_answered(Proven(key, version, form), rows, predicted, probabilities)

    def add_answered(self, one: Proven, x: AnyArray, predicted: AnyArray, probabilities: AnyArray | None) -> None:
        """Take a child that was asked: its form, complete rows, and its answers to them."""
        form = one.form
        of_signature = self._waiting.setdefault(form.signature, [])
        of_signature.append(_Waiting(one, x, predicted, probabilities))
        self._number += 1
        self._nbytes += form.nbytes

    @property
    def full(self) -> bool:
        """Whether so many children wait that they should be compared now."""
        return self._number >= _BATCH or self._nbytes >= _BATCH_BYTES

    def proven(self) -> list[Proven]:
        """Compare the children that wait; returns those that passed, and forgets all of them."""
        waiting, self._waiting = self._waiting, {}
        self._number = self._nbytes = 0
        return [one for of_signature in waiting.values() for one in self._compared(of_signature)]

    def _form(self, child: Any) -> Form | str:
        if self._features.layout != "array":
            return "the children take frames"
        n_features, dtype = len(self._features.features), str(self._features.matrix_dtype)
        if is_tree_model(last_active_step(child)):
            return tree_form(child, n_features, dtype)
        form = linear_form(child, n_features)
        return f"the features are {dtype}" if isinstance(form, LinearForm) and dtype != "float64" else form

    def _aligned(self, child: Any, x: AnyArray) -> AnyArray:
        aligned = np.zeros((len(x), len(self._classes)))
        aligned[:, [self._classes.index(label) for label in child.classes_.tolist()]] = class_probabilities(child, x)
        return aligned

    def _compared(self, waiting: Sequence[_Waiting]) -> list[Proven]:
        of_rows = np.repeat(np.arange(len(waiting)), [len(one.x) for one in waiting])
        try:
            program = PROGRAMS[waiting[0].one.form.family].of([one.one.form for one in waiting], self._classes)
            differs = _differs(program, waiting, of_rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, the children can answer
            if len(waiting) > 1:  # one of them
                return [passed for one in waiting for passed in self._compared([one])]
            self.refused[waiting[0].one.key] = f"cannot be compared: {error_text(error)}"
            return []
        bad = np.bincount(of_rows, weights=differs, minlength=len(waiting)) > 0
        wrong = {one.one.key for one, is_bad in zip(waiting, bad.tolist(), strict=True) if is_bad}
        self.refused |= dict.fromkeys(wrong, "the stack's answers differ from the child's")
        return [one.one for one in waiting if one.one.key not in wrong]


def last_active_step(estimator: Any) -> Any:
    """Look up the last step of a pipeline that does anything; an estimator that is none is returned itself."""
    steps = [step for _, step in getattr(estimator, "steps", ()) if step is not None and not isinstance(step, str)]
    return steps[-1] if steps else estimator


def _rows_to_compare(x: AnyArray, form: Form) -> AnyArray:
    if not form.takes_missing:
        return x[np.isfinite(x).all(axis=1)]
    # Real rows, one of them with every value missing, one with every other value missing.
    gaps = np.repeat(x[:1], 2, axis=0)
    gaps[:1] = np.nan
    gaps[1:, ::2] = np.nan
    return np.concatenate([x, gaps])[~np.isinf(np.concatenate([x, gaps])).any(axis=1)]


def _differs(program: Program, waiting: Sequence[_Waiting], of_rows: AnyArray) -> AnyArray:
    """Which rows the program answers otherwise than the child; rows it leaves to the child are none of them."""
    columns = list(np.concatenate([one.x for one in waiting]).T.astype(np.float64))
    proba = waiting[0].probabilities is not None
    values, probabilities, answered = program.answer(columns, of_rows, proba=proba)
    expected = np.concatenate([one.predicted for one in waiting])
    if waiting[0].one.form.classes:
        differs = np.array([a != b for a, b in zip(values.tolist(), expected.tolist(), strict=True)], dtype=bool)
    else:
        allowed = program.allowance(columns, of_rows, expected)
        differs = ~((np.abs(values - expected) <= allowed) | (values == expected))
    if probabilities is not None:
        given = np.concatenate([one.probabilities for one in waiting if one.probabilities is not None])
        allowed = program.allowance(columns, of_rows, np.ones(len(of_rows)))
        differs |= ~(np.abs(probabilities - given).max(axis=1) <= allowed)
    return differs if answered is None else differs & answered
