"""Which window a row is in, and what the window is called: names sort in the order of time."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.arrays import BoolArray, HashArray
from metamodel.common.messages import short
from metamodel.common.times import microseconds_in
from metamodel.evaluation.splits import time_order
from metamodel.exceptions import InputError
from metamodel.tables.grouping import check_columns

__all__ = ["WindowNaming", "windows_of"]

# A Monday: windows of weeks begin on one.
_ORIGIN = np.datetime64("1970-01-05", "us")

_DAY = 86_400_000_000


def windows_of(
    frame: pd.DataFrame, time_column: Any, window: str | None, known: list[str]
) -> list[tuple[str, BoolArray]]:
    """Cut a table into windows.

    Parameters
    ----------
    frame
        At least one row.
    time_column
        As the model was trained with it; None without one.
    window
        Length of time, such as "1w" or "1d"; None for one window of all rows.
    known
        Names of the windows before, to number one that has no time.

    Returns
    -------
    list of (str, ndarray of bool of shape (n_rows,))
        Name and rows of each window, in order of time. With a length the name is when it begins; without one the
        latest time; without times a number, and a digest by which the same table gets the same name again.

    Raises
    ------
    InputError
        A length was given, but no time; a value is no time, or with a length missing, so that its row is in no window.

    Examples
    --------
    >>> frame = pd.DataFrame({"day": pd.to_datetime(["2026-11-23", "2026-11-30", "2026-12-01"])})
    >>> [(name, int(rows.sum())) for name, rows in windows_of(frame, "day", "1w", [])]
    [('2026-11-23', 1), ('2026-11-30', 2)]
    """
    has_time = isinstance(time_column, str) and time_column in frame
    if window is None:
        naming = WindowNaming(time_column)
        naming.see(frame)
        return [(naming.name(known), np.ones(len(frame), dtype=bool))]
    if not has_time:
        raise InputError(
            f"window={window!r} needs a time column (the model's: {time_column!r}). "
            "Give the table that column, or monitor one window at a time without window."
        )
    check_columns(frame, [time_column], "time column")
    length = microseconds_in(window, "window")
    times = _moments(frame[time_column])
    assert length is not None
    begins = _ORIGIN + ((times - _ORIGIN) // np.timedelta64(length, "us")) * np.timedelta64(length, "us")
    starts = np.unique(begins)
    unit = "D" if length % _DAY == 0 else "s"
    return [(_text(start, unit), begins == start) for start in starts]


def _moments(values: pd.Series) -> Any:
    """Read times, shape (n_rows,), in microseconds; of texts with an offset those in UTC."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        raise InputError(
            f"window needs a time column of dates, and {values.name!r} holds {short(values.iloc[0])}. "
            "Convert it, or monitor one window at a time without window."
        )
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.tz_localize(None)  # days and weeks are those of the table's own zone
    return time_order(values, str(values.name)).astype("datetime64[us]")


def _text(moment: Any, unit: Any) -> str:
    return str(np.datetime_as_string(moment, unit=unit)).replace(":", "")


def _latest(values: pd.Series) -> str:
    """Write the latest time; "" where all are missing."""
    values = values.dropna()
    if not len(values):
        return ""
    if pd.api.types.is_numeric_dtype(values.dtype):
        number = float(values.max())
        return f"{number:017.4f}" if number % 1 else f"{int(number):012d}"
    moment = _moments(values).max()
    return _text(moment, "D" if moment == moment.astype("datetime64[D]") else "s")


def _row_hashes(frame: pd.DataFrame) -> HashArray:
    """Hash each row: numbers as they are, 7 like 7.0, and everything else as a text, shape (n_rows,)."""
    columns = {
        place: values.to_numpy(np.float64, na_value=np.nan) + 0.0  # there is one zero
        if pd.api.types.is_integer_dtype(values.dtype) or pd.api.types.is_float_dtype(values.dtype)
        else values.astype(str)
        for place, (_, values) in enumerate(frame.items())
    }
    rows = pd.DataFrame(columns, index=frame.index)
    hashes: HashArray = pd.util.hash_pandas_object(rows, index=False, categorize=False).to_numpy()
    return hashes


class WindowNaming:
    """Names the one window of a table that comes in parts: by its latest time, else by its rows in whatever order.

    Parameters
    ----------
    time_column
        As the model was trained with it; None without one.
    """

    def __init__(self, time_column: Any) -> None:
        self._time_column = time_column
        self._latest = ""
        self._sums = np.zeros(2, dtype=np.uint64)
        self._rows = 0

    def see(self, frame: pd.DataFrame) -> None:
        """Take in the rows of a part, at least one."""
        has_time = isinstance(self._time_column, str) and self._time_column in frame
        if latest := _latest(frame[self._time_column]) if has_time else "":
            self._latest = max(self._latest, latest)
            return
        hashes = _row_hashes(frame)
        self._sums += np.array([hashes.sum(), (hashes * hashes).sum()], dtype=np.uint64)  # modulo 2**64
        self._rows += len(frame)

    def name(self, known: list[str]) -> str:
        """Say what the window is called; see `windows_of`."""
        if self._latest:
            return self._latest
        digest = hashlib.sha256(f"{self._rows} {self._sums.tolist()}".encode()).hexdigest()[:8]
        again = [name for name in known if name.endswith(f"-{digest}")]
        number = 1 + max((int(name.split("-")[0]) for name in known if name.split("-")[0].isdigit()), default=0)
        return again[0] if again else f"{number:06d}-{digest}"
