"""Children that differ in their numbers alone are pickled by writing the numbers into one of their pickles.

Pickling a small child takes 40 µs, most of them for what all children of a training have in common.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metamodel.bundle.canonical_pickle import dumps
from metamodel.common.arrays import AnyArray, BoolArray

__all__ = ["PickleTemplate"]


class PickleTemplate:
    """The pickle of a child, and where in it its numbers stand.

    Parameters
    ----------
    child
        A fitted child, to be changed.
    holders
        Name → the part of the child, and the attribute of this part, that holds these numbers: an array, or a scalar
        of NumPy's.

    Raises
    ------
    ValueError
        Some numbers do not stand in the pickle once, as their bytes.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> child = SimpleNamespace(coef_=np.array([1.0, 2.0]))
    >>> template = PickleTemplate(child, {"coef_": (child, "coef_")})
    >>> (pickled,) = template.fill({"coef_": np.array([[3.0, 4.0]])})
    >>> pickled == dumps(SimpleNamespace(coef_=np.array([3.0, 4.0])))
    True
    """

    def __init__(self, child: Any, holders: Mapping[str, tuple[Any, str]]) -> None:
        rng = np.random.default_rng(0)
        marks: dict[str, AnyArray] = {}
        for name, (part, attribute) in holders.items():
            value = np.asarray(getattr(part, attribute))
            mark = np.frombuffer(rng.bytes(value.nbytes), dtype=value.dtype).reshape(value.shape)
            marks[name] = mark
            setattr(part, attribute, mark.copy() if value.ndim else mark[()])
        self._pickle = dumps(child)
        self._shapes = {name: mark.shape for name, mark in marks.items()}
        self._places: dict[str, int] = {}
        self._dtypes = {name: mark.dtype for name, mark in marks.items()}
        for name, mark in marks.items():
            if self._pickle.count(mark.tobytes()) != 1:
                raise ValueError(f"{name} stands {self._pickle.count(mark.tobytes())} times in the pickle")
            self._places[name] = self._pickle.index(mark.tobytes())

    def fill(self, numbers: Mapping[str, AnyArray]) -> Sequence[bytes]:
        """Pickle children.

        Parameters
        ----------
        numbers
            Name → the numbers of each child, shape (n_children, ...).
        """
        children = len(next(iter(numbers.values())))
        filled = np.tile(np.frombuffer(self._pickle, dtype=np.uint8), (children, 1))
        for name, place in self._places.items():
            values = np.ascontiguousarray(numbers[name], dtype=self._dtypes[name])
            content = values.view(np.uint8).reshape(children, -1)
            filled[:, place : place + content.shape[1]] = content
        return [row.tobytes() for row in filled]

    def read(self, children: Sequence[bytes]) -> tuple[BoolArray, dict[str, AnyArray]]:
        """Read the numbers of children that were pickled, by this template or otherwise.

        Parameters
        ----------
        children
            Pickles of one size.

        Returns
        -------
        alike : ndarray of bool, shape (n_children,)
            Which of them differ from the template in their numbers alone.
        numbers
            Name → the numbers of those, shape (n_alike, ...).
        """
        size = len(self._pickle)
        if len(children[0]) != size:
            return np.zeros(len(children), dtype=bool), {}
        stored = np.frombuffer(b"".join(children), dtype=np.uint8).reshape(-1, size)
        fixed = np.ones(size, dtype=bool)
        spans = {name: slice(place, place + self._nbytes(name)) for name, place in self._places.items()}
        for span in spans.values():
            fixed[span] = False
        alike = (stored[:, fixed] == np.frombuffer(self._pickle, dtype=np.uint8)[fixed]).all(axis=1)
        numbers = {
            name: np.ascontiguousarray(stored[alike, span]).view(self._dtypes[name]).reshape(-1, *self._shapes[name])
            for name, span in spans.items()
        }
        return alike, numbers

    def _nbytes(self, name: str) -> int:
        return int(self._dtypes[name].itemsize * np.prod(self._shapes[name], dtype=np.int64))
