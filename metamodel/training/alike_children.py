"""Linear children whose pickles differ in their numbers alone: read, and asked for their answers, many at a time.

Some of them are also loaded and asked themselves, and their forms and answers compared bit by bit. What is not alike to
the byte, or differs, is left to be loaded.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from metamodel.bundle.codecs import Codec
from metamodel.bundle.pickle_template import PickleTemplate
from metamodel.bundle.shards import ShardRow
from metamodel.common.arrays import AnyArray
from metamodel.fitting.array_fits import LinearAnswers, answers_of
from metamodel.fitting.array_fits.row_stacks import GroupSpans, row_stacks
from metamodel.prediction.child import predictions
from metamodel.prediction.stacks.linear import LinearForm
from metamodel.prediction.stacks.linear_reader import linear_form
from metamodel.tables.grouping import spread

__all__ = ["Answered", "answers_of_alike"]

# Fewer children are loaded.
_FEWEST = 16

_OF_A_FORM = ("slope", "intercept", "centre", "fill")

# Children of one size may be of several kinds, such as of several ranks; so many are looked for.
_EXAMPLES = 4

# Children of each kind that are also loaded and asked.
_CHECKED = 4


@dataclass(frozen=True)
class Answered:
    """A child's form, the rows it was asked for, and its answers."""

    form: LinearForm
    x: AnyArray
    predicted: AnyArray


def answers_of_alike(rows: Sequence[ShardRow], samples: Mapping[str, AnyArray], codec: Codec) -> dict[str, Answered]:
    """Ask children for their answers to rows of their groups.

    Parameters
    ----------
    rows
        Of fitted children.
    samples
        Encoded key → rows to ask for, shape (n_rows, n_features).
    codec
        Of the children.

    Returns
    -------
    dict
        Encoded key → answers; children that are to be asked themselves are left out.
    """
    by_size: dict[int, list[ShardRow]] = {}
    for row in rows if codec.name == "cloudpickle" else ():
        by_size.setdefault(row.size, []).append(row)
    answered: dict[str, Answered] = {}
    for of_size in by_size.values():
        with suppress(Exception):  # a child's own code may raise anything; it will be told when it is asked
            for _ in range(_EXAMPLES):
                if len(of_size) < _FEWEST:
                    break
                alike = _Alike(of_size, samples, codec)
                answered |= alike.answers()
                of_size = alike.others
    return answered


class _Alike:
    """Children of one size that are like the first of them, and `others`."""

    def __init__(self, rows: Sequence[ShardRow], samples: Mapping[str, AnyArray], codec: Codec) -> None:
        self._codec = codec
        self._samples = samples
        self._program = answers_of(codec.loads(rows[0].child or b""))
        self._rows: list[ShardRow] = []
        self.others: list[ShardRow] = []
        if self._program is not None:
            example = codec.loads(rows[0].child or b"")
            template = PickleTemplate(example, self._program.holders(example))
            alike, self._numbers = template.read([row.child or b"" for row in rows])
            self._rows = [row for row, is_alike in zip(rows, alike.tolist(), strict=True) if is_alike]
            self.others = [row for row, is_alike in zip(rows, alike.tolist(), strict=True) if not is_alike]

    def answers(self) -> dict[str, Answered]:
        if self._program is None or len(self._rows) < _FEWEST:
            return {}
        asked = [self._complete(self._samples[row.key]) for row in self._rows]
        predicted = self._predicted(self._program, asked)
        forms = _forms(self._program, self._numbers)
        answered = [Answered(*parts) for parts in zip(forms, asked, predicted, strict=True)]
        for i in spread(len(self._rows), _CHECKED).tolist():
            child = self._codec.loads(self._rows[i].child or b"")
            if not _is_answer(answered[i], child):
                return {}
        return {row.key: one for row, one in zip(self._rows, answered, strict=True) if len(one.x)}

    @staticmethod
    def _complete(x: AnyArray) -> AnyArray:
        return x[np.isfinite(x).all(axis=1)]

    def _predicted(self, program: LinearAnswers, asked: Sequence[AnyArray]) -> list[AnyArray]:
        sizes = np.array([len(x) for x in asked])
        every = np.concatenate(asked)
        spans = GroupSpans(np.arange(len(every)), np.cumsum(sizes) - sizes)
        predicted = np.empty(len(every))
        with np.errstate(all="ignore"):
            for stack in row_stacks(spans, every.shape[1]):
                of_stack = {name: values[stack.groups] for name, values in self._numbers.items()}
                predicted[stack.places] = program.predict(of_stack, every[stack.positions])
        return np.split(predicted, spans.starts[1:])


def _forms(program: LinearAnswers, numbers: Mapping[str, AnyArray]) -> list[LinearForm]:
    """Read forms as `linear_form` reads them, of all children at once."""
    slope, centres = numbers["coef_"], [None] * len(numbers["coef_"])
    if program.scaled:
        slope = slope * (1 / numbers["scaler.scale_"])
        centres = list(numbers["scaler.mean_"])
    intercept = numbers.get("intercept_", np.zeros(len(slope))).reshape(-1, 1) + 0.0
    return [LinearForm("identity", *parts) for parts in zip(slope[:, None, :], intercept, centres, strict=True)]


def _is_answer(answered: Answered, child: object) -> bool:
    """Whether a child has this form and gives these answers, to the last bit."""
    form = linear_form(child, answered.form.slope.shape[1])
    if not isinstance(form, LinearForm) or form.signature != answered.form.signature:
        return False
    pairs: list[tuple[Any, Any]] = [(getattr(form, name), getattr(answered.form, name)) for name in _OF_A_FORM]
    if len(answered.x):
        pairs.append((predictions(child, answered.x), answered.predicted))
    return all(np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)
