"""Tree ensembles: the nodes of all trees of all children in flat arrays, walked by a compiled kernel.

A node's left child stands right behind it, so that a node is a threshold, a feature and the place of its right child.
A leaf has feature -1, and its row of `values` in place of the right child. Sums run over the trees in their own order,
so that they are the same to the last bit.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Self

import numpy as np

from metamodel.common.arrays import AnyArray, IntArray
from metamodel.common.fork_lock import not_during_fork
from metamodel.prediction.stacks.link_functions import finish, is_close_call
from metamodel.prediction.stacks.pipeline_steps import Step, apply, step_arrays
from metamodel.prediction.stacks.threads import on_ranges
from metamodel.prediction.stacks.tree_layout import FlatTrees
from metamodel.prediction.stacks.tree_moves import join_trees, starts_of, take_trees
from metamodel.tables.grouping import counting_sort

__all__ = ["NO_KERNEL", "TreeForm", "TreeProgram", "kernel_available"]

# Why trees are not stacked where `kernel_available` says no.
NO_KERNEL = "numba is not installed, or does not work"

# How far an answer may be from the child's, relative to it, by the type that its sum is computed in.
_TOLERANCE = {"float64": 1e-9, "float32": 2e-6}

_WITH_PROBABILITIES = ("classes", "classes_up", "shares", "classes_single")

# Rows that are gathered and walked at a time; their features stay in the processor's cache.
_CHUNK_ROWS = 16_384


@cache
def kernel_available() -> bool:
    """Whether the kernel works; the first call compiles it, or loads the one compiled before."""
    if find_spec("numba") is None:
        return False
    try:
        with not_during_fork():
            import_module("metamodel.prediction.stacks.tree_kernel")
    except Exception as error:  # noqa: BLE001 - an installation may be broken in any way, and the children can answer
        warnings.warn(
            f"numba is installed but cannot compile ({type(error).__name__}: {error}). Stacked trees are answered by "
            "their children, more slowly. Reinstall it: pip install --force-reinstall numba.",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


@dataclass(frozen=True)
class TreeForm:
    """One ensemble.

    Attributes
    ----------
    link
        As in `metamodel.prediction.stacks.link_functions.finish`.
    features_as, sums_as
        The types in which the child compares features ("float32": scikit-learn's own trees, XGBoost) and adds leaves
        up ("float32": XGBoost).
    handles_missing
        Whether its trees take missing values.
    base, divisor
        What the sum of the leaves starts from, shape (n_scores,), and what it is divided by.
    trees
        In the order in which the child adds them.
    classes
        Of a classifier, sorted.
    steps
        What the pipeline does to the features before.
    """

    family: ClassVar[str] = "trees"
    link: str
    features_as: str
    sums_as: str
    handles_missing: bool
    base: AnyArray
    divisor: float
    trees: FlatTrees
    classes: tuple[Any, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def signature(self) -> tuple[Any, ...]:
        """Children with the same signature share a program."""
        kinds = tuple(step.kind for step in self.steps)
        return (self.family, self.link, self.features_as, self.sums_as, self.handles_missing, kinds)

    @property
    def takes_missing(self) -> bool:
        """Whether the child answers rows with missing values."""
        return self.handles_missing or any(step.kind == "impute" for step in self.steps)

    @property
    def takes_proba(self) -> bool:
        """Whether the program gives probabilities."""
        return self.link in _WITH_PROBABILITIES

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.trees.nbytes


@dataclass(frozen=True)
class TreeProgram:
    """Many ensembles of one signature.

    Attributes
    ----------
    arrays
        "threshold", "feature" and "right" of all nodes; "root" and "first_tree", where the nodes of each tree and the
        trees of each child begin (and where the last ones end); "output" of each tree; "values" of the leaves, and
        "first_leaf", where those of each child begin; "base", "divisor" and for classifiers "known" (which classes it
        has) of each child; and what `metamodel.prediction.stacks.pipeline_steps` needs.
    """

    family: ClassVar[str] = "trees"
    link: str
    features_as: str
    sums_as: str
    handles_missing: bool
    steps: tuple[str, ...]
    classes: tuple[Any, ...]
    arrays: dict[str, AnyArray]

    @classmethod
    def of(cls, forms: Sequence[TreeForm], classes: tuple[Any, ...]) -> Self:
        """Put forms of one signature behind one another."""
        first = forms[0]
        several = len(classes) > 2 or first.link == "shares"
        n_scores = len(classes) if several else 1
        columns = [[classes.index(label) for label in form.classes] if several else [0] for form in forms]
        arrays = _nodes(forms, columns, n_scores if first.link == "shares" else 1)
        arrays["first_tree"] = starts_of([len(form.trees.root) for form in forms])
        arrays["first_leaf"] = starts_of([len(form.trees.values) for form in forms])
        arrays["base"] = np.zeros((n_scores, len(forms)), dtype=first.sums_as)
        arrays["divisor"] = np.array([form.divisor for form in forms])
        class_positions = np.zeros((n_scores, len(forms)), dtype=bool)
        for i, (form, where) in enumerate(zip(forms, columns, strict=True)):
            arrays["base"][where[-len(form.base) :], i] = form.base
            class_positions[where, i] = True
        if several:
            arrays["known"] = class_positions
        arrays |= step_arrays([form.steps for form in forms])
        kinds = tuple(step.kind for step in first.steps)
        return cls(first.link, first.features_as, first.sums_as, first.handles_missing, kinds, classes, arrays)

    def describe(self) -> dict[str, Any]:
        """Plain JSON form of all that is no array."""
        plain = {name: getattr(self, name) for name in ("link", "features_as", "sums_as", "handles_missing")}
        return {**plain, "steps": list(self.steps), "classes": list(self.classes)}

    @classmethod
    def load(cls, description: dict[str, Any], arrays: dict[str, AnyArray]) -> Self:
        """Inverse of `describe`."""
        plain = {name: description[name] for name in ("link", "features_as", "sums_as", "handles_missing")}
        return cls(**plain, steps=tuple(description["steps"]), classes=tuple(description["classes"]), arrays=arrays)

    def take(self, positions: IntArray) -> Self:
        """Keep some children, in this order; only the places that their nodes name move along."""
        return replace(self, arrays=take_trees(self.arrays, positions))

    @classmethod
    def joined(cls, programs: Sequence[Self]) -> Self:
        """Put programs of one description behind one another."""
        return replace(programs[0], arrays=join_trees([program.arrays for program in programs]))

    def parts(self, start: int, stop: int) -> Iterator[AnyArray]:
        """Give the arrays that hold all that belongs to a range of children, and nothing else."""
        arrays = self.arrays
        trees = slice(arrays["first_tree"][start], arrays["first_tree"][stop])
        nodes = slice(arrays["root"][trees.start], arrays["root"][trees.stop])
        leaves = slice(arrays["first_leaf"][start], arrays["first_leaf"][stop])
        for name, values in sorted(arrays.items()):
            if name in ("first_tree", "first_leaf"):
                yield values[start : stop + 1]
            elif name == "root":
                yield values[trees.start : trees.stop + 1]
            elif name == "values":
                yield values[leaves]
            elif name in ("threshold", "feature", "right"):
                yield values[nodes]
            else:
                yield values[trees] if name == "output" else values[..., start:stop]

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer; never without numba."""
        return kernel_available() and (not proba or self.link in _WITH_PROBABILITIES)

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Evaluate rows; see `metamodel.prediction.stacks.linear.LinearProgram.answer`."""
        n_rows = len(positions)
        scores, answered = np.empty((n_rows, len(self.arrays["base"])), dtype=self.sums_as), np.ones(n_rows, dtype=bool)
        # Rows of one child follow one another: its nodes are then in the processor's cache.
        order = counting_sort(positions, self.arrays["base"].shape[1]) if n_rows > 1 else np.zeros(1, dtype=np.int64)

        def work(start: int, stop: int) -> None:
            for first in range(start, stop, _CHUNK_ROWS):
                rows = order[first : min(first + _CHUNK_ROWS, stop)]
                of_rows = positions.take(rows)
                x = np.empty((len(columns), len(rows)), dtype=self.features_as)
                answered[rows] = self._gather(columns, rows, of_rows, x)
                scores[rows] = self._walk(x, of_rows)

        on_ranges(work, n_rows)
        known_classes = self.arrays["known"][:, positions] if "known" in self.arrays else None
        if self.link == "classes_single":
            answered &= ~is_close_call(
                scores.T if known_classes is None else np.where(known_classes, scores.T, -np.inf)
            )
        values, probabilities = finish(self.link, scores.T, known_classes, self.classes, proba)
        return values, probabilities, None if answered.all() else answered

    def allowance(self, columns: Sequence[AnyArray], positions: IntArray, expected: AnyArray) -> AnyArray:
        """Say by how much each row's answer may differ from the child's, in proportion to it."""
        return _TOLERANCE[self.sums_as] * np.abs(expected)

    def _gather(self, columns: Sequence[AnyArray], rows: IntArray, of_rows: IntArray, x: AnyArray) -> AnyArray:
        """Fill x with the rows' features as the trees take them; returns which rows can be answered."""
        refused = np.zeros(len(rows), dtype=bool)
        with np.errstate(all="ignore"):
            for j, column in enumerate(columns):
                values = column.take(rows)
                if self.steps:
                    refused |= np.isinf(values)
                    values = apply(self.steps, self.arrays, j, values, of_rows)
                x[j] = values
        usable = ~np.isinf(x).any(axis=0) if self.handles_missing else np.isfinite(x).all(axis=0)
        return np.asarray(usable & ~refused) if self.steps else np.asarray(usable)

    def _walk(self, x: AnyArray, positions: IntArray) -> AnyArray:
        from metamodel.prediction.stacks.tree_kernel import walk

        arrays = self.arrays
        scores = np.ascontiguousarray(arrays["base"][:, positions].T)
        nodes = [arrays[name] for name in ("threshold", "feature", "right")]
        walk(x, positions, *nodes, arrays["root"], arrays["first_tree"], arrays["output"], arrays["values"], scores)
        if self.sums_as == "float64":
            scores /= arrays["divisor"][positions][:, None]
        return scores


def _nodes(forms: Sequence[TreeForm], columns: Sequence[list[int]], width: int) -> dict[str, AnyArray]:
    """Put the trees of many children behind one another; places of nodes and of rows of `values` move along."""
    first, trees = forms[0], [form.trees for form in forms]
    sizes = [len(tree.feature) for tree in trees]
    nodes, leaves = starts_of(sizes), starts_of([len(tree.values) for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    moved = np.where(feature >= 0, np.repeat(nodes[:-1], sizes), np.repeat(leaves[:-1], sizes))
    values = np.zeros((leaves[-1], width), dtype=first.sums_as)
    for tree, where, start in zip(trees, columns, leaves[:-1].tolist(), strict=True):
        values[start : start + len(tree.values), where if first.link == "shares" else [0]] = tree.values
    root = [tree.root + start for tree, start in zip(trees, nodes[:-1].tolist(), strict=True)]
    return {
        "threshold": np.concatenate([tree.threshold for tree in trees]).astype(first.features_as),
        "feature": feature,
        "right": (np.concatenate([tree.right for tree in trees]) + moved).astype(np.int32),
        "root": np.concatenate([*root, nodes[-1:]]),
        "output": np.concatenate([_outputs(tree.output, where) for tree, where in zip(trees, columns, strict=True)]),
        "values": values,
    }


def _outputs(output: AnyArray, where: list[int]) -> AnyArray:
    # Of two classes only the second has a score.
    return np.where(output < 0, -1, where[-1] if len(where) == 2 else np.array(where)[output]).astype(np.int32)
