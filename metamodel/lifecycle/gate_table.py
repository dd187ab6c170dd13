"""The rows that a gate judges by, wherever they are."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.exceptions import InputError
from metamodel.tables.arrow import plain_frame
from metamodel.tables.sources import read_source

__all__ = ["gate_table"]

# A schema's table, or a catalogue's, and no file by its ending.
_OF_CATALOGUE = re.compile(r"\w+(\.\w+){1,2}(?<!\.csv)(?<!\.parquet)(?<!\.pq)(?<!\.gz)(?<!\.zip)(?<!\.json)(?<!\.txt)")


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
        It is no table, or one that is known to Spark's catalogue alone.
    """
    if type(data).__module__.startswith("pyspark."):
        return plain_frame(data.toArrow()), "Spark DataFrame"
    if isinstance(data, str) and _OF_CATALOGUE.fullmatch(data) and not Path(data).exists():
        raise InputError(
            f"There is no file or folder {data!r}. Where it is a table of Spark's catalogue, judge it in Python, "
            f"in Spark's session: metamodel.gate(model, spark.table({data!r}), ...)."
        )
    return read_source(data, group_by)
