"""The rows that a gate judges by, wherever they are."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from metamodel.tables.arrow import plain_frame
from metamodel.tables.sources import read_source

__all__ = ["gate_table"]


def gate_table(data: Any, group_by: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Take a table, or read it, and say where it came from.

    The rows of a Spark table are collected: they are those of a few weeks, and a gate asks two models for every one of
    them several times and compares all groups with one another.

    Parameters
    ----------
    data
        As for `metamodel.gate`.
    group_by
        The group columns.

    Raises
    ------
    InputError
        It is no table.
    """
    if type(data).__module__.startswith("pyspark."):
        return plain_frame(data.toArrow()), "Spark DataFrame"
    return read_source(data, group_by)
