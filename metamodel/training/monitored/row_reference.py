"""The reference of groups from their training rows, in the form in which every engine fits them.

So it is the same to the last bit whether all groups are recorded at once, from the table in memory, or those of a part
of it inside a worker.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metamodel.common.arrays import BoolArray, IntArray
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.fitting.spec import TaskName
from metamodel.tables.features import FeatureSchema
from metamodel.training.training_table import TrainingTable

__all__ = ["RowReference"]


@dataclass(frozen=True)
class RowReference:
    """Makes references of features and target.

    Parameters
    ----------
    features
        Of the training.
    task
        Whether the target is a number or a label.
    """

    features: FeatureSchema
    task: TaskName

    def of(self, table: TrainingTable, groups: IntArray, n_groups: int, replayed: BoolArray) -> DriftReference:
        """Record groups; which columns are functions of time alone is found of all rows elsewhere.

        Parameters
        ----------
        table
            The rows; those without a target belong to no group's reference.
        groups
            Group of each row, shape (n_rows,); -1 for a row that belongs to none.
        n_groups
            How many groups there are.
        replayed
            Shape (n_groups,): whose windows are replayed.
        """
        known = np.where(pd.isna(table.y), -1, groups)
        columns = table.compared_columns(self.features, self.task)
        return build_reference(columns, known, n_groups, table.times, replayed, frozenset())
