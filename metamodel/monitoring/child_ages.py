"""How old children are: by the newest row that each saw, where rows have dates, else since it was fitted."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import AnyArray
from metamodel.common.times import time_number

__all__ = ["child_ages"]

# How a window is called that its times name.
_DATED: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2})(\d{2})(\d{2}))?")


def child_ages(model: MetaModel, keys: Sequence[str], window: str) -> AnyArray:
    """Say how old each group's child is at a window, as `metamodel update --max-age` counts it.

    Parameters
    ----------
    model
        Whose children.
    keys
        Encoded keys.
    window
        What it is called.

    Returns
    -------
    array of shape (n_keys,)
        In microseconds; NaN where there is no child.
    """
    ledger = model.bundle.read_ledger([*model.manifest.keys.names, "level", "data_through", "trained_at"])
    at_window, now = _moment(window), dt.datetime.now(dt.UTC)
    since: dict[str, float] = {}
    columns = ledger["data_through"].tolist(), ledger["trained_at"].tolist()
    for key, through, trained in zip(encoded_keys_of(ledger, model.manifest.keys), *columns, strict=True):
        newest = time_number(through or "")
        if not trained:
            continue
        if at_window is not None and isinstance(newest, int):
            since[key] = float(at_window - newest)
        else:
            since[key] = (now - dt.datetime.fromisoformat(trained)) / dt.timedelta(microseconds=1)
    return np.array([since.get(key, np.nan) for key in keys])


def _moment(window: str) -> int | None:
    """Read the time that a window is called by, in microseconds; None where it is called otherwise."""
    dated = _DATED.fullmatch(window)
    if dated is None:
        return None
    day, *clock = dated.groups()
    text = f"{day}T{':'.join(clock)}" if clock[0] else day
    return int(np.datetime64(text, "us").astype(np.int64))
