"""Lets MLflow's scoring server take CSV bodies.

MLflow's own reader needs a pandas dtype for every input column and refuses a signature with the type Any, which the
group columns must have (see `metamodel.flavor.signature`). In a process that runs MLflow's server, and nowhere else,
its reader is replaced by one that knows the key schema. Other models' signatures go to the original.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.types import DataType, Schema

from metamodel.bundle.manifest import Manifest
from metamodel.common.messages import listing
from metamodel.flavor.scoring_server import PublicError
from metamodel.tables.files import csv_options, with_parsed_fields

__all__ = ["accept_csv"]

_SERVER = "mlflow.pyfunc.scoring_server"


def accept_csv(manifest: Manifest) -> None:
    """Teach the scoring server of this process, if it is one, to read CSV bodies for this model."""
    server: Any = sys.modules.get(_SERVER)
    if server is None:
        return
    original = getattr(server.parse_csv_input, "original", server.parse_csv_input)
    group_by = manifest.keys.names
    texts = [column.name for column in manifest.keys.columns if column.kind == "string"]
    texts += manifest.features.texts
    kinds: dict[str, str] = {
        column.name: column.kind for column in manifest.keys.columns if column.kind in ("integer", "boolean")
    }
    numbers = {one.name: "number" for one in manifest.features.features if one.kind in ("number", "boolean")}
    kinds = numbers | kinds  # a group column may be a feature too; it is a key first

    def parse_csv_input(csv_input: io.StringIO, schema: Schema | None = None) -> pd.DataFrame:
        if schema is None or all(isinstance(column.type, DataType) for column in schema.inputs):
            return original(csv_input=csv_input, schema=schema)
        return read_csv_body(csv_input.read(), group_by, texts, kinds)

    parse_csv_input.original = original  # type: ignore[attr-defined]
    server.parse_csv_input = parse_csv_input


def read_csv_body(body: str, group_by: Sequence[str], texts: Sequence[str], kinds: Mapping[str, str]) -> pd.DataFrame:
    r"""Read the rows of one request.

    Parameters
    ----------
    body
        A table with a header line.
    group_by
        Columns in which only an empty field is null.
    texts
        Columns to keep as text even where they look like numbers.
    kinds
        What the fields of other columns are, each by itself; see `metamodel.tables.files.with_parsed_fields`.

    Examples
    --------
    >>> read_csv_body("country,store\nNA,7\n,north\n", ["country", "store"], ["country"], {"store": "integer"})
      country  store
    0      NA      7
    1     NaN  north
    """
    try:
        header = pd.read_csv(io.StringIO(body), header=None, nrows=1, dtype=str, keep_default_na=False)
        columns = header.iloc[0].tolist()
        of_keys = [name for name in kinds if name in group_by]
        as_text = [name for name in (*texts, *of_keys) if name in columns]
        frame = pd.read_csv(io.StringIO(body), **csv_options(columns, group_by, as_text))
    except (ValueError, IndexError) as error:  # pandas' own text quotes the body
        fact = f"The body is no CSV table with a header line ({type(error).__name__})."
        raise PublicError(fact, BAD_REQUEST) from error
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise PublicError(f"The body has more than one column named {listing(map(repr, twice))}.", BAD_REQUEST)
    frame = with_parsed_fields(frame, kinds)
    whole = frame.select_dtypes(include="integer").columns.difference(list(group_by))
    return frame.astype(dict.fromkeys(whole, "float64"))
