"""Windows of a Spark table: rows are counted where they are, and the driver adds up the counts.

Only methods of the DataFrame are used, so that Spark Connect works too and PySpark need not be imported here. Workers
open the model where it lies: they must reach its directory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.bundle.model import MetaModel
from metamodel.common.collecting import keep_in_spark_worker
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.monitoring.count_table import count_table
from metamodel.monitoring.window_names import windows_of
from metamodel.prediction.answer_form import VARIANT
from metamodel.prediction_log.count_files import counts_of, table_of_counts
from metamodel.tables.arrow import arrow_to_pandas

__all__ = ["count_on_spark", "is_spark_table"]


def is_spark_table(data: Any) -> bool:
    """Whether a table is one of Spark."""
    return type(data).__module__.startswith("pyspark.")


@dataclass(frozen=True)
class _PartitionCounter:
    """Counts the rows of a partition, batch by batch."""

    model: MetaModel
    reference: ModelReference
    names: tuple[str, ...]
    window: str | None

    def count(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give one row for every window: its name, and a count file."""
        keep_in_spark_worker()
        target = self.model.manifest.target.name
        windows: dict[str, WindowCounts] = {}
        for batch in batches:
            if not batch.num_rows:
                continue
            table = pa.Table.from_batches([batch]).rename_columns(list(self.names))
            frame = arrow_to_pandas(table, _integers(table))
            labels = frame.get(target)
            cuts = windows_of(frame, self.model.manifest.options.get("time_column"), self.window, [])
            for part in count_table(self.model, self.reference, frame, labels, cuts):
                name = part.counts.window
                windows[name] = part.counts.plus(windows.get(name))
        for name, counts in windows.items():
            yield pa.RecordBatch.from_pydict({"window": [name], "counts": [_packed(counts)]}, schema=_SCHEMA)


_SCHEMA = pa.schema([("window", pa.string()), ("counts", pa.binary())])


def _integers(table: pa.Table) -> dict[str, str]:
    """Keep integers beside nulls what they are."""
    return {
        field.name: f"Int{field.type.bit_width}"
        for field, column in zip(table.schema, table.columns, strict=True)
        if pa.types.is_signed_integer(field.type) and column.null_count
    }


def _packed(counts: WindowCounts) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table_of_counts(counts), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def count_on_spark(model: MetaModel, reference: ModelReference, data: Any, window: str | None) -> list[WindowCounts]:
    """Count all windows of a table.

    Returns
    -------
    list of WindowCounts
        In order of time; the same, to the last bit, as of the rows on one machine.

    Raises
    ------
    InputError
        The table has no row, or no time by which its windows can be named.
    """
    time_column = model.manifest.options.get("time_column")
    if not isinstance(time_column, str) or time_column not in data.columns:
        raise InputError(
            f"A window of a Spark table is named by its times, and the table lacks the time column ({time_column!r}). "
            "Add it, or monitor the counts of its parts."
        )
    needed = [*model.manifest.keys.names, *model.manifest.features.names, time_column, model.manifest.target.name]
    names = [name for name in dict.fromkeys([*needed, "prediction", "lower", "upper", VARIANT]) if name in data.columns]
    together = data.select(*(f"`{name}`" for name in names))
    numbered = together.toDF(*(f"column_{i}" for i in range(len(names))))
    keys = [f"column_{names.index(name)}" for name in model.manifest.keys.names]
    counter = _PartitionCounter(model, reference, tuple(names), window)
    parts: dict[str, list[WindowCounts]] = {}
    for row in numbered.repartition(*keys).mapInArrow(counter.count, "window string, counts binary").collect():
        table = pq.read_table(pa.BufferReader(row["counts"]))
        parts.setdefault(row["window"] if window else "", []).append(counts_of(table))
    if not parts:
        raise InputError("The table has no row, so that there is no window. Give the rows of one.")
    return [WindowCounts.together(parts[name]) for name in sorted(parts)]
