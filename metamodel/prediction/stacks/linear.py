"""Linear families: slopes and intercepts of all children side by side, one gather and product a feature.

A row's score is ``intercept + Σ slope_j · (x_j − centre_j)``, with the parameters of its group's child. Scalers before
the model are folded into slope and centre, an imputer becomes the value that stands for a missing one. The centre is
kept apart because subtracting it from ``x`` first loses no digits where the mean is large against the spread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from metamodel.common.arrays import FEW_ROWS, AnyArray, IntArray
from metamodel.prediction.stacks.link_functions import finish
from metamodel.prediction.stacks.threads import on_ranges

__all__ = ["LinearForm", "LinearProgram"]

# Rows that are evaluated at a time; their scores and one column of products stay in the processor's cache.
_CHUNK_ROWS = 16_384

# Relative to the sum of the absolute values of a score's terms: a sum in another order differs by a few last bits.
TOLERANCE = 1e-12

# Scores that are not below this are left to the child: its own scaler overflows, and it raises, before a score with the
# scaler folded into its slope does.
_LARGEST = 1e100


@dataclass(frozen=True)
class LinearForm:
    """One linear child.

    Attributes
    ----------
    link
        What follows the scores: "identity", "log" (their exponential), "classes" (sigmoid or softmax), "ovr" (sigmoids
        brought to sum 1), "labels" (the largest score's class; no probabilities).
    slope, intercept
        Shapes (n_scores, n_features) and (n_scores,).
    centre, fill
        Shape (n_features,), or None where the child has no scaler or no imputer.
    classes
        Of a classifier, sorted. With two classes there is one score, that of the second.
    """

    family: ClassVar[str] = "linear"
    link: str
    slope: AnyArray
    intercept: AnyArray
    centre: AnyArray | None = None
    fill: AnyArray | None = None
    classes: tuple[Any, ...] = ()

    @property
    def signature(self) -> tuple[Any, ...]:
        """Children with the same signature share a program."""
        return (self.family, self.link, self.centre is not None, self.fill is not None)

    @property
    def takes_missing(self) -> bool:
        """Whether the child answers rows with missing values."""
        return self.fill is not None

    @property
    def takes_proba(self) -> bool:
        """Whether the program gives probabilities."""
        return self.link in ("classes", "ovr")

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        given = (self.slope, self.intercept, self.centre, self.fill)
        return sum(values.nbytes for values in given if values is not None)


@dataclass(frozen=True)
class LinearProgram:
    """Many linear children of one signature.

    Attributes
    ----------
    link
        As in `LinearForm`.
    classes
        Sorted union of the classes of all groups.
    arrays
        "slope" of shape (n_scores, n_features, n_children), "intercept" (n_scores, n_children), and where the signature
        has them "centre" and "fill" (n_features, n_children), "known" (n_scores, n_children: classes a child has).
    """

    family: ClassVar[str] = "linear"
    link: str
    classes: tuple[Any, ...]
    arrays: dict[str, AnyArray]

    @classmethod
    def of(cls, forms: Sequence[LinearForm], classes: tuple[Any, ...]) -> Self:
        """Put forms of one signature side by side."""
        first = forms[0]
        if not classes:
            return cls(first.link, classes, cls._arrays_of(forms, "slope", "intercept", "centre", "fill"))
        n_scores = len(classes) if len(classes) > 2 else 1
        slope = np.zeros((n_scores, first.slope.shape[1], len(forms)))
        intercept = np.zeros((n_scores, len(forms)))
        known_classes = np.zeros((n_scores, len(forms)), dtype=bool)
        for i, form in enumerate(forms):
            rows, slopes, intercepts = _spread(form, classes)
            slope[rows, :, i], intercept[rows, i], known_classes[rows, i] = slopes, intercepts, True
        arrays = {"slope": slope, "intercept": intercept}
        if n_scores > 1:
            arrays["known"] = known_classes
        return cls(first.link, classes, arrays | cls._arrays_of(forms, "centre", "fill"))

    @staticmethod
    def _arrays_of(forms: Sequence[LinearForm], *names: str) -> dict[str, AnyArray]:
        given = [name for name in names if getattr(forms[0], name) is not None]
        return {name: np.stack([getattr(form, name) for form in forms], axis=-1) for name in given}

    def describe(self) -> dict[str, Any]:
        """Plain JSON form of all that is no array."""
        return {"link": self.link, "classes": list(self.classes)}

    @classmethod
    def load(cls, description: dict[str, Any], arrays: dict[str, AnyArray]) -> Self:
        """Inverse of `describe`."""
        return cls(description["link"], tuple(description["classes"]), arrays)

    def take(self, positions: IntArray) -> Self:
        """Keep some children, in this order; their numbers stay the same bytes."""
        arrays = {name: np.ascontiguousarray(values[..., positions]) for name, values in self.arrays.items()}
        return replace(self, arrays=arrays)

    @classmethod
    def joined(cls, programs: Sequence[Self]) -> Self:
        """Put programs of one description side by side."""
        first = programs[0]
        names = first.arrays
        arrays = {name: np.concatenate([program.arrays[name] for program in programs], axis=-1) for name in names}
        return replace(first, arrays=arrays)

    def parts(self, start: int, stop: int) -> Iterator[AnyArray]:
        """Give the arrays that hold all that belongs to a range of children, and nothing else."""
        for _, values in sorted(self.arrays.items()):
            yield values[..., start:stop]

    def takes(self, *, proba: bool) -> bool:
        """Whether it can answer calls with, or without, probabilities."""
        return not proba or self.link in ("classes", "ovr")

    def answer(
        self, columns: Sequence[AnyArray], positions: IntArray, *, proba: bool
    ) -> tuple[AnyArray, AnyArray | None, AnyArray | None]:
        """Evaluate rows.

        Parameters
        ----------
        columns
            One array of shape (n_rows,) for each feature.
        positions
            Shape (n_rows,): which child answers each row.
        proba
            Whether to give probabilities too.

        Returns
        -------
        values, probabilities, answered
            Predictions, or labels for classifiers, shape (n_rows,); shape (n_rows, n_classes) or None; and a mask of
            the rows with finite scores below 1e100 (None for all). The others (missing, infinite or huge features) are
            for the child itself, whose answer may be an error.
        """
        scores = self._scores(columns, positions)
        finite = np.asarray((np.abs(scores) < _LARGEST).all(axis=0))
        known = self.arrays["known"][:, positions] if "known" in self.arrays else None
        values, probabilities = finish(self.link, scores, known, self.classes, proba)
        return values, probabilities, None if finite.all() else finite

    def allowance(self, columns: Sequence[AnyArray], positions: IntArray, expected: AnyArray) -> AnyArray:
        """Say by how much each row's answer may differ from the child's, shape (n_rows,).

        `TOLERANCE` times the sum of the absolute values of the score's terms; behind an exponential that difference of
        the score is a relative one, and a probability moves by at most a quarter of its score.
        """
        terms = self._scores(columns, positions, absolute=True).max(axis=0)
        if self.link == "identity":
            return TOLERANCE * terms
        return TOLERANCE * np.maximum(terms, 1) * (np.abs(expected) if self.link == "log" else 1)

    def _scores(self, columns: Sequence[AnyArray], positions: IntArray, absolute: bool = False) -> AnyArray:
        if len(positions) <= FEW_ROWS and not absolute:
            return self._few_scores(columns, positions)
        scores = np.empty((len(self.arrays["intercept"]), len(positions)))

        def work(start: int, stop: int) -> None:
            with np.errstate(all="ignore"):
                for first in range(start, stop, _CHUNK_ROWS):
                    rows = slice(first, min(first + _CHUNK_ROWS, stop))
                    self._add_up([column[rows] for column in columns], positions[rows], scores[:, rows], absolute)

        on_ranges(work, len(positions))
        return scores

    def _add_up(self, columns: Sequence[AnyArray], where: IntArray, scores: AnyArray, absolute: bool) -> None:
        slope, intercept = self.arrays["slope"], self.arrays["intercept"]
        product = np.empty(len(where))
        for k in range(len(scores)):
            intercept[k].take(where, out=scores[k], mode="clip")
        if absolute:
            np.abs(scores, out=scores)
        for j, column in enumerate(columns):
            x = self._prepared(j, column, where)
            for k in range(len(scores)):
                slope[k, j].take(where, out=product, mode="clip")
                product *= x
                scores[k] += np.abs(product) if absolute else product

    def _few_scores(self, columns: Sequence[AnyArray], positions: IntArray) -> AnyArray:
        """Evaluate a few rows in a handful of calls, term after term in the same order, so with the same last bits."""
        slope, intercept = self.arrays["slope"], self.arrays["intercept"]
        x = np.array(columns, dtype=np.float64)
        terms = np.empty((len(intercept), len(x) + 1, len(positions)))
        with np.errstate(all="ignore"):
            if "fill" in self.arrays:
                x = np.where(np.isnan(x), self.arrays["fill"][:, positions], x)
            if "centre" in self.arrays:
                x -= self.arrays["centre"][:, positions]
            terms[:, 0] = intercept[:, positions]
            np.multiply(slope[:, :, positions], x, out=terms[:, 1:])
            return np.ascontiguousarray(np.add.accumulate(terms, axis=1)[:, -1])

    def _prepared(self, j: int, x: AnyArray, where: IntArray) -> AnyArray:
        if "fill" in self.arrays:
            x = np.where(np.isnan(x), self.arrays["fill"][j].take(where, mode="clip"), x)
        return x - self.arrays["centre"][j].take(where, mode="clip") if "centre" in self.arrays else x


def _spread(form: LinearForm, classes: tuple[Any, ...]) -> tuple[list[int], AnyArray, AnyArray]:
    """Rows of the scores that a child fills, and what it fills them with."""
    if len(classes) <= 2:
        return [0], form.slope, form.intercept
    rows = [classes.index(label) for label in form.classes]
    if len(form.classes) > 2:
        return rows, form.slope, form.intercept
    # softmax(0, s) is the sigmoid of s.
    nothing = np.zeros_like(form.slope)
    return rows, np.concatenate([nothing, form.slope]), np.concatenate([[0.0], form.intercept])
