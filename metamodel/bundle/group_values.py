"""A few numbers for each group, which its answers need beside its child: such as how wide its interval is.

``figures/values.npy`` (one row a group, float64) and ``figures/index.npy`` (where each key's row is); the manifest says
what the columns are. Opening reads neither. Both are proven whole before the first number is used, because an interval
made from a damaged number would be a wrong answer that nobody saw.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.key_index import KeyPlaces, key_index
from metamodel.bundle.manifest import FileEntry, verified_path
from metamodel.common.arrays import AnyArray
from metamodel.exceptions import CorruptBundle, InvalidKey
from metamodel.tables.keys import GroupKey

__all__ = ["FIGURES_DIR", "GroupFigures", "write_figures"]

FIGURES_DIR = "figures"

_INDEX, _VALUES = f"{FIGURES_DIR}/index.npy", f"{FIGURES_DIR}/values.npy"


def write_figures(directory: Path, figures: pd.DataFrame) -> dict[str, Any]:
    """Write the figures of groups into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    figures
        One row a group under its encoded key, one float column a figure; null where a group has none.

    Returns
    -------
    dict
        What the manifest has to say of them, under `figures`.
    """
    (directory / FIGURES_DIR).mkdir(exist_ok=True)
    np.save(directory / _INDEX, key_index(figures.index.tolist()))
    np.save(directory / _VALUES, figures.to_numpy(dtype=np.float64))
    return {"columns": list(figures.columns), "groups": len(figures)}


class GroupFigures:
    """The figures in a bundle; safe to share between threads.

    Parameters
    ----------
    directory
        The bundle's directory.
    description
        The manifest's `figures`.
    files
        The manifest's files.
    """

    def __init__(self, directory: Path, description: Mapping[str, Any], files: Mapping[str, FileEntry]) -> None:
        self.columns: tuple[str, ...] = tuple(description["columns"])
        self._directory = directory
        self._files = files
        self._opened: tuple[KeyPlaces, AnyArray] | None = None

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
            NaN where a group has no such figure.

        Raises
        ------
        CorruptBundle
            The files are not what was written.
        """
        places, values = self._open()
        found = places.of(keys)
        numbers = [self.columns.index(name) for name in columns]
        rows: AnyArray = values[found[:, np.newaxis], numbers]
        rows[found < 0] = np.nan
        return rows

    def _open(self) -> tuple[KeyPlaces, AnyArray]:
        # Without a lock, which a fork could leave locked: two threads at once read the same twice, and nothing is lost.
        if self._opened is None:
            paths = [verified_path(self._directory, name, self._files) for name in (_INDEX, _VALUES)]
            index, values = (np.asarray(np.load(path, mmap_mode="r")) for path in paths)
            if values.shape != (index.shape[1], len(self.columns)):
                raise CorruptBundle(f"{self._directory / _VALUES} has shape {values.shape}. Restore the bundle.")
            self._opened = KeyPlaces(index), values
        return self._opened
