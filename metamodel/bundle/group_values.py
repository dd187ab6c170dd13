"""A few numbers for each group, which its answers need beside its child: such as how wide its interval is.

``group_values/values.npy`` (one row a group, float64) and ``group_values/index.npy`` (where each key's row is); the
manifest says what the columns are. Opening reads neither. Both are proven whole before the first number is used,
because an interval made from a damaged number would be a wrong answer that nobody saw.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.array_files import OpenedFile, map_array
from metamodel.bundle.key_index import KeyPlaces, key_index
from metamodel.bundle.manifest import FileEntry
from metamodel.common.arrays import AnyArray, BoolArray, IntArray
from metamodel.exceptions import CorruptBundle, InvalidKey
from metamodel.tables.keys import GroupKey

__all__ = ["GROUP_VALUES_DIR", "GroupValues", "write_group_values"]

GROUP_VALUES_DIR = "group_values"

_INDEX, _VALUES = f"{GROUP_VALUES_DIR}/index.npy", f"{GROUP_VALUES_DIR}/values.npy"


def write_group_values(directory: Path, values: pd.DataFrame) -> dict[str, Any]:
    """Write some numbers of each group into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    values
        One row a group under its encoded key, float columns; null where a group has none.

    Returns
    -------
    dict
        What the manifest has to say of them, under `group_values`.
    """
    (directory / GROUP_VALUES_DIR).mkdir(exist_ok=True)
    np.save(directory / _INDEX, key_index(values.index.tolist()))
    np.save(directory / _VALUES, values.to_numpy(dtype=np.float64))
    return {"columns": list(values.columns), "groups": len(values)}


class GroupValues:
    """The numbers of groups in a bundle; safe to share between threads.

    Parameters
    ----------
    directory
        The bundle's directory.
    description
        The manifest's `group_values`.
    files
        The manifest's files.
    """

    def __init__(self, directory: Path, description: Mapping[str, Any], files: Mapping[str, FileEntry]) -> None:
        self.columns: tuple[str, ...] = tuple(description["columns"])
        self._directory = directory
        self._files = files
        self._opened: tuple[KeyPlaces, AnyArray, list[OpenedFile]] | None = None

    def of(self, keys: Sequence[GroupKey | InvalidKey], columns: Sequence[str]) -> AnyArray:
        """Look groups up.

        Parameters
        ----------
        keys
            Canonical keys, of any level.
        columns
            Names among `columns`.

        Returns
        -------
        array of shape (n_keys, n_columns), float64
            NaN where a group has no such number.

        Raises
        ------
        CorruptBundle
            The files are not what was written.
        """
        return self._at(self._open()[0].of(keys), columns)

    def of_encoded(self, encoded: Sequence[str]) -> AnyArray:
        """All columns of many groups by their encoded keys, otherwise as `of`."""
        return self._at(self._open()[0].of_encoded(encoded), self.columns)

    def _at(self, places: IntArray, columns: Sequence[str]) -> AnyArray:
        numbers = [self.columns.index(name) for name in columns]
        rows: AnyArray = self._open()[1][places[:, np.newaxis], numbers]
        rows[places < 0] = np.nan
        self._check_unchanged()
        return rows

    def has(self, keys: Sequence[GroupKey | InvalidKey]) -> BoolArray:
        """Whether each group has a row here, shape (n_keys,); raises as `of`."""
        there: BoolArray = self._open()[0].of(keys) >= 0
        self._check_unchanged()
        return there

    def _check_unchanged(self) -> None:
        """Insist, after reading, that what was read is what was proven."""
        if not all(file.is_unchanged for file in self._open()[2]):
            raise CorruptBundle(
                f"{self._directory / GROUP_VALUES_DIR} was changed after it was opened. Load the model again."
            )

    def _open(self) -> tuple[KeyPlaces, AnyArray, list[OpenedFile]]:
        # Without a lock, which a fork could leave locked: two threads at once read the same twice, and nothing is lost.
        if self._opened is None:
            files = [OpenedFile(self._directory / name) for name in (_INDEX, _VALUES)]
            index, values = (map_array(self._directory / name, self._files.get(name)) for name in (_INDEX, _VALUES))
            if values.shape != (index.shape[1], len(self.columns)):
                raise CorruptBundle(f"{self._directory / _VALUES} has shape {values.shape}. Restore the bundle.")
            self._opened = KeyPlaces(index), values, files
        return self._opened
