"""Digest the rows of every group on Spark's workers, before it is decided which groups are fitted.

Rows come together as for a training, in the same shuffle and the same form, so that a group has the fingerprint that
its fit would write into the ledger, on this engine and on the other one.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from metamodel.common.collecting import keep_in_spark_worker
from metamodel.tables.arrow import arrow_to_pandas
from metamodel.tables.keys import GroupKey
from metamodel.training.engines.spark.placement import Placement
from metamodel.training.engines.spark.profile import SparkPlan
from metamodel.training.engines.spark.shuffle import rows_by_group
from metamodel.training.engines.spark.worker import CHILD, PartitionTrainer, whole_groups

__all__ = ["RowDigester", "fingerprints_of"]

_SCHEMA = "number long, fingerprint string"


@dataclass(frozen=True)
class RowDigester:
    """Digests all groups of a partition.

    Parameters
    ----------
    trainer
        What would fit them, which knows the form of their rows.
    """

    trainer: PartitionTrainer

    def digest(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hand back the number and the fingerprint of each group; the columns are those of `rows_by_group`."""
        keep_in_spark_worker()
        for table in whole_groups(batches):
            numbers, starts = np.unique(table.column(0).to_numpy(), return_index=True)
            named = table.remove_column(0).rename_columns([*self.trainer.dtypes, CHILD])
            rows = self.trainer.rows(arrow_to_pandas(named, self.trainer.dtypes))
            bounds = [*starts.tolist(), len(rows.y)]
            prints = [rows.fingerprint(slice(*ends)) for ends in itertools.pairwise(bounds)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(numbers, pa.int64()), pa.array(prints, pa.string())], ["number", "fingerprint"]
            )


def fingerprints_of(plan: SparkPlan, placement: Placement, trainer: PartitionTrainer) -> dict[GroupKey, str]:
    """Digest the rows of every group of a placement; one short row a group comes to the driver.

    Parameters
    ----------
    plan
        With the table.
    placement
        The groups.
    trainer
        What would fit them.
    """
    digester = RowDigester(replace(trainer, hashes_seen=False))
    table = rows_by_group(plan, placement).mapInArrow(digester.digest, _SCHEMA).toArrow()
    numbers, prints = (table.column(i).to_pylist() for i in (0, 1))
    return {placement.keys[number]: text for number, text in zip(numbers, prints, strict=True)}
