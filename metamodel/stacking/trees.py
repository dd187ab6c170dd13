"""Tree ensembles: the nodes of all trees of all children in flat arrays, walked by a compiled kernel.

A node's left child stands right behind it, so that a node is a threshold, a feature and the place of its right child.
A leaf has feature -1; its value stands in place of the threshold, or, where a leaf holds a share for every class, its
row of `values` in place of the right child. Sums run over the trees in their own order, so that they are the same to
the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Self

import numpy as np

from metamodel.frames import AnyArray, IntArray
from metamodel.stacking.links import finish

__all__ = ["FlatTree", "TreeForm", "TreeProgram", "kernel_available"]

TOLERANCE = 1e-9
_WITH_PROBABILITIES = ("classes", "classes_up", "shares")
_NODE_ARRAYS = ("threshold", "feature", "right")


def kernel_available() -> bool:
    """Whether numba is there to compile the kernel."""
    return find_spec("numba") is not None


@dataclass(frozen=True)
class FlatTree:
    """One tree in preorder.

    Attributes
    ----------
    threshold
        A row goes left where its feature is at most this; of a leaf, its value.
    feature
        Twice the feature's number, plus 1 where missing values go left; -1 in a leaf.
    right
        Place of the right child; of a leaf, its row of `values`.
    output
        The score that the leaves add to, -1 where each has a share for every class.
    values
        Shape (n_leaves, n_classes); empty where leaves hold one value.
    """

    threshold: AnyArray
    feature: AnyArray
    right: AnyArray
    output: int
    values: AnyArray


@dataclass(frozen=True)
class TreeForm:
    """One ensemble.

    Attributes
    ----------
    link
        As in `metamodel.stacking.links.finish`.
    single
        Whether the child casts features to float32, as scikit-learn's own trees do.
    takes_missing
        Whether it answers rows with missing values.
    base, divisor
        What the sum of the leaves starts from, shape (n_scores,), and what it is divided by.
    trees
        In the order in which the child adds them.
    classes
        Of a classifier, sorted.
    """

    family: ClassVar[str] = "trees"
    link: str
    single: bool
    takes_missing: bool
    base: AnyArray
    divisor: float
    trees: tuple[FlatTree, ...]
    classes: tuple[Any, ...] = ()

    @property
    def signature(self) -> tuple[Any, ...]:
        """Children with the same signature share a program."""
        return (self.family, self.link, self.single, self.takes_missing)

    @property
    def takes_proba(self) -> bool:
        """Whether the program gives probabilities."""
        return self.link in _WITH_PROBABILITIES


@dataclass(frozen=True)
class TreeProgram:
    """Many ensembles of one signature.

    Attributes
    ----------
    arrays
        "threshold", "feature" and "right" of all nodes; "root" of each tree; "first_tree" of each child (and one behind
        the last); "output" of each tree; "values" of leaves with a share for every class; "base", "divisor" and for
        classifiers "known" (which classes it has) of each child.
    """

    family: ClassVar[str] = "trees"
    link: str
    single: bool
    takes_missing: bool
    classes: tuple[Any, ...]
    arrays: dict[str, AnyArray]

    @classmethod
    def of(cls, forms: Sequence[TreeForm], classes: tuple[Any, ...]) -> Self:
        """Put forms of one signature behind one another."""
        first = forms[0]
        several = len(classes) > 2 or first.link == "shares"
        n_scores = len(classes) if several else 1
        trees = [tree for form in forms for tree in form.trees]
        columns = [[classes.index(label) for label in form.classes] if several else [0] for form in forms]
        arrays = _nodes(trees)
        arrays["first_tree"] = np.concatenate([[0], np.cumsum([len(form.trees) for form in forms])]).astype(np.int64)
        of_trees = [(tree, where) for form, where in zip(forms, columns, strict=True) for tree in form.trees]
        arrays["output"] = np.array([_output(tree, where) for tree, where in of_trees], dtype=np.int32)
        arrays["values"] = _values(of_trees, n_scores)
        arrays["base"] = np.zeros((n_scores, len(forms)))
        arrays["divisor"] = np.array([form.divisor for form in forms])
        known = np.zeros((n_scores, len(forms)), dtype=bool)
        for i, (form, where) in enumerate(zip(forms, columns, strict=True)):
            arrays["base"][where[-len(form.base) :], i] = form.base
            known[where, i] = True
        if several:
            arrays["known"] = known
        return cls(first.link, first.single, first.takes_missing, classes, arrays)

    def describe(self) -> dict[str, Any]:
        """Plain JSON form of all that is no array."""
        plain = {"link": self.link, "single": self.single, "takes_missing": self.takes_missing}
        return {**plain, "classes": list(self.classes)}

    @classmethod
    def load(cls, description: dict[str, Any], arrays: dict[str, AnyArray]) -> Self:
        """Inverse of `describe`."""
        plain = (description["link"], description["single"], description["takes_missing"])
        return cls(*plain, tuple(description["classes"]), arrays)

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer; never without numba."""
        return kernel_available() and (not proba or self.link in _WITH_PROBABILITIES)

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Evaluate rows; see `metamodel.stacking.linear.LinearProgram.answer`."""
        # Rows of one child follow one another: its nodes are then in the processor's cache.
        order = np.argsort(positions, kind="stable") if len(positions) > 1 else np.zeros(len(positions), dtype=np.int64)
        x = np.empty((len(positions), len(columns)))
        with np.errstate(over="ignore"):
            for j, column in enumerate(columns):
                x[:, j] = column[order].astype(np.float32) if self.single else column[order]
        usable = ~np.isinf(x).any(axis=1) if self.takes_missing else np.isfinite(x).all(axis=1)
        scores, answered = np.empty((len(x), len(self.arrays["base"]))), np.empty(len(x), dtype=bool)
        scores[order], answered[order] = self._walk(x, positions[order]), usable
        known = self.arrays["known"][:, positions] if "known" in self.arrays else None
        values, probabilities = finish(self.link, scores.T, known, self.classes, proba)
        return values, probabilities, None if answered.all() else answered

    def allowance(self, columns: Sequence[AnyArray], positions: IntArray, expected: AnyArray) -> AnyArray:
        """Say by how much each row's answer may differ from the child's: a billionth of it."""
        return TOLERANCE * np.abs(expected)

    def _walk(self, x: AnyArray, positions: IntArray) -> AnyArray:
        from metamodel.stacking.kernel import walk

        arrays = self.arrays
        scores = np.ascontiguousarray(arrays["base"][:, positions].T)
        nodes = [arrays[name] for name in _NODE_ARRAYS]
        walk(x, positions, *nodes, arrays["root"], arrays["first_tree"], arrays["output"], arrays["values"], scores)
        scores /= arrays["divisor"][positions][:, None]
        return scores


def _nodes(trees: Sequence[FlatTree]) -> dict[str, AnyArray]:
    """Put trees behind one another; places of nodes and of rows of `values` move along."""
    sizes = [len(tree.feature) for tree in trees]
    root = np.concatenate([[0], np.cumsum(sizes)])[:-1].astype(np.int64)
    leaves = np.concatenate([[0], np.cumsum([len(tree.values) for tree in trees])])[:-1]
    right = [
        np.where(tree.feature >= 0, tree.right + start, tree.right + leaf)
        for tree, start, leaf in zip(trees, root.tolist(), leaves.tolist(), strict=True)
    ]
    return {
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        "right": np.concatenate(right).astype(np.int32),
        "root": root,
    }


def _output(tree: FlatTree, where: list[int]) -> int:
    # Of two classes only the second has a score.
    return -1 if tree.output < 0 else where[-1] if len(where) == 2 else where[tree.output]


def _values(of_trees: Sequence[tuple[FlatTree, list[int]]], n_scores: int) -> AnyArray:
    parts = [np.zeros((0, n_scores))]
    for tree, where in of_trees:
        if tree.output < 0:
            part = np.zeros((len(tree.values), n_scores))
            part[:, where] = tree.values
            parts.append(part)
    return np.concatenate(parts)
