"""The column whose equal values never lie on both sides of a split: a customer, a patient, a machine."""

from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from metamodel.common.arrays import AnyArray, HashArray
from metamodel.common.messages import count
from metamodel.exceptions import InputError
from metamodel.tables.row_hashes import row_hashes

__all__ = ["SplitGroups", "missing_split_groups"]


@dataclass(frozen=True)
class SplitGroups:
    """Which rows have to stay together.

    Parameters
    ----------
    values
        As they stand in the column, shape (n_rows,): what estimators get as `groups`.
    hashes
        Of the values and the seed, shape (n_rows,): a value lies on the same side in its group and in every parent.

    Examples
    --------
    >>> customers = SplitGroups.of(pd.DataFrame({"customer": ["ann", "bob", "ann"]}), "customer", random_state=0)
    >>> customers[1:].values.tolist(), len(set(customers.hashes.tolist()))
    (['bob', 'ann'], 2)
    """

    values: AnyArray
    hashes: HashArray

    @classmethod
    def of(cls, frame: pd.DataFrame, name: str, random_state: int) -> Self:
        """Read the column.

        Parameters
        ----------
        frame
            The table, or a part of it.
        name
            The column.
        random_state
            Seed.

        Raises
        ------
        InputError
            A value is missing.
        """
        if missing := int(frame[name].isna().sum()):
            raise missing_split_groups(name, missing)
        return cls(frame[name].to_numpy(), row_hashes(frame, [name], random_state))

    def __getitem__(self, rows: Any) -> "SplitGroups":
        return SplitGroups(self.values[rows], self.hashes[rows])


def missing_split_groups(name: str, missing: int) -> InputError:
    """Say that rows do not tell with which others they belong."""
    return InputError(
        f"split_groups column {name!r} has {count(missing, 'missing value')}, and nothing says with which rows those "
        "belong. Remove these rows, or fill each with a value of its own."
    )
