"""What is said to a scoring server, and what it says: MLflow's protocol."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, short
from metamodel.exceptions import RowsRefused

__all__ = ["predictions_in", "question", "rows_refused"]

# MLflow's words for a value that a column's declared type cannot hold: what reads the request, and what enforces.
_CANNOT_HOLD = (
    re.compile(r"Failed to convert column (?P<column>.+?) to type '(?P<dtype>\w+)'"),
    re.compile(r"Incompatible input types for column (?P<column>.+?)\. Can not safely convert \w+ to (?P<dtype>\w+)"),
)


def question(x: pd.DataFrame) -> str:
    """Write rows as a request's body; raises ValueError where JSON cannot carry a value (infinity)."""
    cells = x.astype(object).where(x.notna(), None)
    split = {"columns": [str(name) for name in x.columns], "data": cells.to_numpy(dtype=object).tolist()}
    return json.dumps({"dataframe_split": split}, allow_nan=False, default=str)


def rows_refused(address: str, content: bytes, x: pd.DataFrame) -> RowsRefused:
    """Make an error of a status of 400; of the server's words only a column and its type, as they may hold rows."""
    refused = f"{address} refused the rows with status 400"
    said = content.decode(errors="replace")
    for match in filter(None, (words.search(said) for words in _CANNOT_HOLD)):
        column = match["column"]
        if column in x.columns and x[column].isna().any():
            return RowsRefused(
                f"{refused}: its signature has {match['dtype']} in {column}, where a value is missing. Log the model "
                "with a signature that has double there.",
                column,
            )
    return RowsRefused(refused)


def predictions_in(content: bytes, rows: int) -> AnyArray:
    """Read an answer's body; raises ValueError where there is not one prediction for each row."""
    try:
        predictions = json.loads(content)["predictions"]
        if isinstance(predictions, dict):
            predictions = predictions["prediction"]
        if not isinstance(predictions, list):
            raise TypeError("no list")
        values = [_value(entry) for entry in predictions]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"answered with something else than predictions ({short(content)})") from error
    if len(values) != rows:
        raise ValueError(f"gave {count(len(values), 'answer')} for {count(rows, 'row')}")
    answers = np.array(values, dtype=object)
    numeric = all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)
    return answers.astype(np.float64) if numeric else answers


def _value(entry: Any) -> Any:
    """One prediction: a value, a list of one, or a record of one; or a record that names it (a meta-model's answer)."""
    if isinstance(entry, dict):
        entry = [entry["prediction"]] if "prediction" in entry else list(entry.values())
    if isinstance(entry, list):
        (entry,) = entry  # of several nobody knows which is meant
    return entry
