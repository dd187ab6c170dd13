"""Gather children into stacks: those that passed, family by family."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from metamodel.common.arrays import AnyArray
from metamodel.prediction.stacks.linear_reader import LINEAR
from metamodel.prediction.stacks.programs import PROGRAMS, BuiltStack, Form, Program, is_full
from metamodel.prediction.stacks.tree_reader import is_tree_model
from metamodel.prediction.stacks.trees import NO_KERNEL, kernel_available
from metamodel.prediction.stacks.verification import Proven, Prover, last_active_step
from metamodel.tables.features import FeatureSchema

__all__ = ["StackBuilder", "why_not"]


@dataclass
class _Family:
    forms: list[Form] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    nbytes: int = 0


class StackBuilder:
    """Takes children one by one, or those that passed elsewhere.

    Parameters
    ----------
    features, classes, refused
        As for `metamodel.prediction.stacks.verification.Prover`.
    """

    def __init__(self, features: FeatureSchema, classes: tuple[Any, ...], refused: dict[str, str]) -> None:
        self.refused = refused
        self._prover = Prover(features, classes, refused)
        self._classes = classes
        self._families: dict[tuple[Any, ...], _Family] = {}

    def add(self, key: str, version: str, child: Any, x: AnyArray) -> None:
        """Take a child with a few real rows of its group, shape (n_rows, n_features)."""
        self._prover.add(key, version, child, x)
        if self._prover.full:
            self.take(self._prover.proven())

    def take(self, proven: Sequence[Proven]) -> None:
        """Take children that passed."""
        for one in proven:
            family = self._families.setdefault(one.form.signature, _Family())
            family.forms.append(one.form)
            family.keys.append(one.key)
            family.versions.append(one.version)
            family.nbytes += one.form.nbytes

    def full(self) -> Iterator[BuiltStack]:
        """Hand out the stacks that are large enough by now."""
        for signature, family in list(self._families.items()):
            if is_full(family.nbytes):
                yield self._close(self._families.pop(signature))

    def finish(self) -> Iterator[BuiltStack]:
        """Hand out all that is left."""
        self.take(self._prover.proven())
        while self._families:
            yield self._close(self._families.pop(next(iter(self._families))))

    def _close(self, family: _Family) -> BuiltStack:
        program: Program = PROGRAMS[family.forms[0].family].of(family.forms, self._classes)
        return BuiltStack(program, family.keys, family.versions)


def why_not(estimator: Any) -> str:
    """Why children of an unfitted estimator cannot be stacked whatever they learn; "" where it is worth a try."""
    last = last_active_step(estimator)
    if is_tree_model(last):
        return "" if kernel_available() else NO_KERNEL
    return "" if type(last) in LINEAR else f"no stack for {type(last).__name__}"
