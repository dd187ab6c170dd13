"""What a label that comes windows later needs of a row: id, group, answer, and what is known already; no feature.

A file a window, written and read in parts, so that memory does not grow with its rows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from metamodel.common.whole_files import whole_file
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.prediction_log.row_ids import id_texts

__all__ = ["KEY", "LABEL", "VARIANT_KEPT", "KeptRows", "kept_answers", "kept_parts", "rewrite_rows"]

_ROWS: Final = "rows.parquet"

KEY, LABEL, VARIANT_KEPT = "(key)", "(label)", "(variant)"

_ANSWERS: Final = ("prediction", "lower", "upper")

_BATCH_ROWS: Final = 100_000


class KeptRows:
    """Writes the rows of several windows while their parts come in.

    Parameters
    ----------
    folder
        Where the files grow until they are complete, on the disk of the windows.
    label_type
        Of the labels, and of the predictions.
    """

    def __init__(self, folder: Path, label_type: pa.DataType) -> None:
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._label_type = label_type

    def close(self) -> None:
        """Write nothing more; what is not finished is to be thrown away."""
        for writer in self._writers.values():
            writer.close()

    def add(self, window: str, ids: pd.DataFrame, known: pd.DataFrame) -> None:
        """Add rows to a window.

        Parameters
        ----------
        window
            Its name, or "" for one that has none yet.
        ids
            The columns of the id.
        known
            Of the same rows the encoded key (`KEY`), and as far as they are known `prediction`, `lower`, `upper`,
            `VARIANT_KEPT` and `LABEL`.
        """
        types = {name: pa.string() for name in ids}
        types |= {"(prediction)": self._label_type, "(lower)": pa.float64(), "(upper)": pa.float64()}
        types |= {KEY: pa.dictionary(pa.int32(), pa.string()), VARIANT_KEPT: pa.string(), LABEL: self._label_type}
        columns: dict[str, Any] = {name: ids[name] for name in ids}
        columns |= {f"({name})" if name in _ANSWERS else name: known[name] for name in known}
        arrays = [_typed(columns.get(name), kind, len(ids)) for name, kind in types.items()]
        table = pa.table(dict(zip(types, arrays, strict=True)))
        writer = self._writers.get(window)
        if writer is None:
            path = self._folder / f"rows-{len(self._writers)}"
            writer = self._writers[window] = pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)

    def finish(self, state: MonitorState, name: str) -> None:
        """Put the files where the windows are; what has no name yet is called `name`."""
        for number, (window, writer) in enumerate(self._writers.items()):
            writer.close()
            folder = state.folder(window or name)
            folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"rows-{number}").replace(folder / _ROWS)
        self._writers.clear()


def _typed(values: Any, kind: pa.DataType, n_rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(n_rows, kind)
    if pa.types.is_floating(kind):
        return pa.array(pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64, na_value=np.nan), kind)
    if pa.types.is_dictionary(kind):
        codes, texts = pd.factorize(values)
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes < 0), pa.array(texts, pa.string()))
    return pa.array(id_texts(pd.Series(values)), kind)


def kept_parts(state: MonitorState, window: str, on: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Read the rows of a window in parts; none where they were not kept, or have another id."""
    path = state.folder(window) / _ROWS
    if not path.is_file():
        return
    with pq.ParquetFile(path) as file:
        if set(on) <= set(file.schema_arrow.names):
            for batch in file.iter_batches(_BATCH_ROWS):
                yield batch.to_pandas()


def kept_answers(table: pd.DataFrame) -> pd.DataFrame:
    """Give the answers of kept rows under the names that they had."""
    return pd.DataFrame({name: table[f"({name})"] for name in _ANSWERS if table[f"({name})"].notna().any()})


def rewrite_rows(state: MonitorState, window: str, parts: Iterator[pd.DataFrame]) -> None:
    """Write the rows of a window again, while they are read."""
    path = state.folder(window) / _ROWS
    schema = pq.read_schema(path).remove_metadata()
    with whole_file(path) as unfinished, pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        for table in parts:
            writer.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False))
