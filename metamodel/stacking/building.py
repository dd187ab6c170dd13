"""Gather children into stacks, and let through only those that a stack answers as they do themselves."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metamodel.features import FeatureSchema
from metamodel.fitting import error_text
from metamodel.frames import AnyArray
from metamodel.probabilities import class_probabilities
from metamodel.stacking.extraction import LINEAR, linear_form
from metamodel.stacking.flattening import is_tree_model, tree_form
from metamodel.stacking.linear import LinearForm, LinearProgram
from metamodel.stacking.trees import NO_KERNEL, TreeForm, TreeProgram, kernel_available

__all__ = ["BuiltStack", "StackBuilder", "load_program", "prepare", "why_not"]

Form = LinearForm | TreeForm
Program = LinearProgram | TreeProgram
_PROGRAMS: dict[str, Any] = {program.family: program for program in (LinearProgram, TreeProgram)}
# Children whose answers are compared at a time, and bytes of arrays from which on a stack is closed and the next one
# begins: what is being built must fit into memory.
_BATCH = 1000
_STACK_BYTES = 2**28


@dataclass(frozen=True)
class BuiltStack:
    """A program with the names of its children: encoded keys and versions, in order."""

    program: Program
    keys: list[str]
    versions: list[str]


@dataclass(frozen=True)
class _Waiting:
    """A child's form and its own answers, to be compared with the program's."""

    key: str
    version: str
    form: Form
    x: AnyArray
    predicted: AnyArray
    probabilities: AnyArray | None


@dataclass
class _Family:
    waiting: list[_Waiting] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    nbytes: int = 0


class StackBuilder:
    """Takes children one by one.

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
        self._families: dict[tuple[Any, ...], _Family] = {}

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
                predicted = np.asarray(child.predict(rows)).reshape(len(rows))
                probabilities = self._aligned(child, rows) if form.takes_proba else None
            except Exception as error:  # noqa: BLE001 - a child may raise anything; it will do so when it is asked
                self.refused[key] = f"raised on its own rows: {error_text(error)}"
                return
        family = self._families.setdefault(form.signature, _Family())
        family.waiting.append(_Waiting(key, version, form, rows, predicted, probabilities))
        family.nbytes += form.nbytes
        if len(family.waiting) >= _BATCH:
            self._compare(family)

    def full(self) -> Iterator[BuiltStack]:
        """Hand out the stacks that are large enough by now."""
        for signature, family in list(self._families.items()):
            if family.nbytes >= _STACK_BYTES:
                yield from self._close(self._families.pop(signature))

    def finish(self) -> Iterator[BuiltStack]:
        """Hand out all that is left."""
        while self._families:
            yield from self._close(self._families.pop(next(iter(self._families))))

    def _close(self, family: _Family) -> Iterator[BuiltStack]:
        if family.waiting:
            self._compare(family)
        if family.forms:
            yield BuiltStack(self._program(family.forms), family.keys, family.versions)

    def _form(self, child: Any) -> Form | str:
        if self._features.layout != "array":
            return "the children take frames"
        n_features, dtype = len(self._features.features), str(self._features.matrix_dtype)
        if is_tree_model(_last_step(child)):
            return tree_form(child, n_features, dtype)
        form = linear_form(child, n_features)
        return f"the features are {dtype}" if isinstance(form, LinearForm) and dtype != "float64" else form

    def _program(self, forms: Sequence[Form]) -> Program:
        program: Program = _PROGRAMS[forms[0].family].of(forms, self._classes)
        return program

    def _aligned(self, child: Any, x: AnyArray) -> AnyArray:
        aligned = np.zeros((len(x), len(self._classes)))
        aligned[:, [self._classes.index(label) for label in child.classes_.tolist()]] = class_probabilities(child, x)
        return aligned

    def _compare(self, family: _Family) -> None:
        waiting, family.waiting = family.waiting, []
        of_rows = np.repeat(np.arange(len(waiting)), [len(one.x) for one in waiting])
        try:
            differs = _differs(self._program([one.form for one in waiting]), waiting, of_rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, the children can answer
            self.refused |= {one.key: f"cannot be compared: {error_text(error)}" for one in waiting}
            return
        bad = np.bincount(of_rows, weights=differs, minlength=len(waiting)) > 0
        for one, wrong in zip(waiting, bad.tolist(), strict=True):
            if wrong:
                self.refused[one.key] = "the stack's answers differ from the child's"
                continue
            family.forms.append(one.form)
            family.keys.append(one.key)
            family.versions.append(one.version)


def load_program(description: dict[str, Any], arrays: dict[str, AnyArray]) -> Program:
    """Build a program from what `Program.describe` gave and from its arrays."""
    program: Program = _PROGRAMS[description["family"]].load(description, arrays)
    return program


def why_not(estimator: Any) -> str:
    """Why children of an unfitted estimator cannot be stacked whatever they learn; "" where it is worth a try."""
    last = _last_step(estimator)
    if is_tree_model(last):
        return "" if kernel_available() else NO_KERNEL
    return "" if type(last) in LINEAR else f"no stack for {type(last).__name__}"


def _last_step(estimator: Any) -> Any:
    steps = [step for _, step in getattr(estimator, "steps", ()) if step is not None and not isinstance(step, str)]
    return steps[-1] if steps else estimator


def prepare(family: str) -> None:
    """Compile a family's kernel, or load the one compiled before, so that the first answer does not wait for it."""
    if family == TreeProgram.family:
        kernel_available()


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
    if waiting[0].form.classes:
        differs = np.array([a != b for a, b in zip(values.tolist(), expected.tolist(), strict=True)], dtype=bool)
    else:
        allowed = program.allowance(columns, of_rows, expected)
        differs = ~((np.abs(values - expected) <= allowed) | (values == expected))
    if probabilities is not None:
        given = np.concatenate([one.probabilities for one in waiting if one.probabilities is not None])
        allowed = program.allowance(columns, of_rows, np.ones(len(of_rows)))
        differs |= ~(np.abs(probabilities - given).max(axis=1) <= allowed)
    return differs if answered is None else differs & answered
