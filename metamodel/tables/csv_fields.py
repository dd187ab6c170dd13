"""Fields of CSV files, each read by itself."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

__all__ = ["with_parsed_fields"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?")

_DIGITS = re.compile(r"[+-]?[0-9]{1,20}")


def with_parsed_fields(frame: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Make values of the fields in columns that were read as text; a field that is none stays text.

    pandas gives a column of a CSV file one type, so one odd field would turn all the others into text.

    Parameters
    ----------
    frame
        Rows of a CSV file.
    kinds
        Column → "integer", "boolean" or "number"; columns of any other kind are left as they are.

    Returns
    -------
    DataFrame
        With object columns in place of the parsed ones; `frame` itself is not changed.

    Examples
    --------
    >>> frame = pd.DataFrame({"store": ["7", "north"], "units": ["2.5", "oops"]})
    >>> with_parsed_fields(frame, {"store": "integer", "units": "number"}).values.tolist()
    [[7, 2.5], ['north', 'oops']]
    """
    texts = [name for name in kinds if name in frame.columns and frame[name].dtype.kind not in "iufb"]
    parsed = {name: _parsed(frame[name], _PARSERS[kinds[name]]) for name in texts if kinds[name] in _PARSERS}
    return frame.assign(**parsed)


def _parsed(fields: pd.Series, parse: Callable[[Any], Any]) -> pd.Series:
    # Not Series.map, which makes floats of integers beside a null: they would round a large id. pandas leaves a field
    # empty, not null, where it meets unsigned integers beside it.
    cells = [None if isinstance(field, str) and not field else parse(field) for field in fields]
    return pd.Series(cells, index=fields.index, dtype=object)


def _integer(field: Any) -> Any:
    return int(field.partition(".")[0]) if isinstance(field, str) and _INTEGER.fullmatch(field) else field


def _boolean(field: Any) -> Any:
    return {"true": True, "false": False}.get(field.lower(), field) if isinstance(field, str) else field


def _number(field: Any) -> Any:
    if not isinstance(field, str) or "_" in field:  # Python takes "1_000" for a number, pandas does not
        return field
    try:
        return int(field) if _DIGITS.fullmatch(field) else float(field)  # a float would round a large id
    except ValueError:
        return _boolean(field)


_PARSERS: dict[str, Callable[[Any], Any]] = {"integer": _integer, "boolean": _boolean, "number": _number}
