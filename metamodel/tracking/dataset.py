"""The training table as MLflow's data set: the same digest and schema that MLflow gives it, without asking every cell.

MLflow looks at each value of each column in Python, several times: a minute for a million rows and a dozen columns.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.digest_utils import MAX_ROWS, get_normalized_md5_digest
from mlflow.data.pandas_dataset import PandasDataset, from_pandas

from metamodel.common.uris import redacted
from metamodel.tables.delta import PREFIX, DeltaName

__all__ = ["digest", "telling_rows", "training_table"]

# MLflow takes no longer name.
_LONGEST_NAME = 500

_FIRST_ROWS = 20


def training_table(data: pd.DataFrame, source: str, target: str) -> PandasDataset:
    """Describe a table for `mlflow.log_input`.

    Parameters
    ----------
    data
        The table.
    source
        Where it came from; a path, where there is a file.
    target
        The target column.
    """
    name = redacted(source)[-_LONGEST_NAME:]
    with warnings.catch_warnings():
        # MLflow's advice about integer columns is for signatures; this is a description of the data set.
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column", category=UserWarning)
        # It knows two names for one kind of source: a file.
        warnings.filterwarnings("ignore", message="The specified dataset source can be interp", category=UserWarning)
        described = from_pandas(data, source=_place(source), targets=target, name=name, digest=digest(data))
        described.schema = from_pandas(telling_rows(data), digest="").schema
    return described


def _place(source: str) -> Any:
    if source.startswith(PREFIX):
        table = DeltaName.parse(redacted(source))
        return DeltaDatasetSource(path=table.path, delta_table_version=table.version)
    return source if Path(source).exists() else None


def digest(data: pd.DataFrame) -> str:
    """Compute MLflow's digest of a table: of its first 10,000 rows, its length and its column names.

    MLflow leaves out a column that holds anything but text or numbers, and looks through all of it for that; here it is
    looked for in the rows that are hashed.
    """
    head = data.head(MAX_ROWS)
    texts = head.columns[head.map(type).eq(str).all(axis=0)]
    numbers = head.select_dtypes(include=[np.number]).columns
    hashed = pd.util.hash_pandas_object(head[texts.union(numbers)]).to_numpy()
    names = [str(name).encode() for name in data.columns]
    return str(get_normalized_md5_digest([hashed, np.int64(len(data)), *names]))


def telling_rows(data: pd.DataFrame) -> pd.DataFrame:
    """Choose rows of which MLflow infers the schema of the whole table.

    They hold, of every column, a null where it has one, and a value of each Python type that it has.
    """
    wanted = set(range(min(len(data), _FIRST_ROWS)))
    for number in range(data.shape[1]):
        column = data.iloc[:, number]
        nulls = column.isna().to_numpy()
        if nulls.any():
            wanted.add(int(nulls.argmax()))
        if column.dtype == object:
            wanted.update(_first_of_each_type(column.to_numpy()))
    return data.iloc[sorted(wanted)]


def _first_of_each_type(values: Any) -> list[int]:
    # The last entry of a key stays.
    return list(dict(zip(map(type, values[::-1]), range(len(values) - 1, -1, -1), strict=True)).values())
