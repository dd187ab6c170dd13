"""The reference of the groups that a worker fits, made of the rows that it has, and its way back to the driver."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from metamodel.bundle.monitored.stored_reference import drift_of_table, drift_table
from metamodel.common.arrays import BoolArray, IntArray
from metamodel.evaluation.drift.drift_reference import DriftReference
from metamodel.training.monitored.row_reference import RowReference
from metamodel.training.training_table import TrainingTable

__all__ = ["PartRecorder", "PartReference", "read_part"]


@dataclass(frozen=True)
class PartReference:
    """The reference of some groups.

    Attributes
    ----------
    numbers
        Of the groups, ascending, shape (n_groups,).
    reference
        Of them.
    """

    numbers: IntArray
    reference: DriftReference

    def to_bytes(self, numbers: Sequence[int]) -> bytes | None:
        """Write down that of some groups, as an Arrow stream; None where none of them is recorded."""
        chosen = np.isin(self.numbers, np.asarray(numbers, dtype=np.int64))
        if not chosen.any():
            return None
        table = drift_table(pa.array(self.numbers[chosen]), self.reference.take(np.flatnonzero(chosen)))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content: bytes = sink.getvalue().to_pybytes()
        return content


def read_part(content: bytes) -> tuple[list[int], DriftReference]:
    """Inverse of `PartReference.to_bytes`: numbers of the groups, and their reference."""
    return drift_of_table(pa.ipc.open_stream(content).read_all())


@dataclass(frozen=True)
class PartRecorder:
    """Records the groups of a part of a table.

    Parameters
    ----------
    rows
        Makes references of rows.
    recorded, replayed
        By the number of a group: whether it is recorded, and whether its windows are replayed.
    """

    rows: RowReference
    recorded: BoolArray
    replayed: BoolArray

    def record(self, table: TrainingTable, numbers: IntArray, sizes: IntArray) -> PartReference:
        """Record the groups that stand behind one another in a table, with so many rows each."""
        recorded = self.recorded[numbers]
        place = np.where(recorded, np.cumsum(recorded) - 1, -1)
        kept = numbers[recorded]
        reference = self.rows.of(table, np.repeat(place, sizes), len(kept), self.replayed[kept])
        return PartReference(kept, reference)
