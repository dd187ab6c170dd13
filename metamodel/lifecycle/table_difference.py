"""How a Delta table has changed since the version before was trained on it, in words, before anybody trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metamodel.common.messages import listing
from metamodel.exceptions import InputError
from metamodel.tables.delta import PREFIX, delta_types, is_delta, resolved

__all__ = ["schema_difference", "table_difference"]


def table_difference(model: Any, data: Any) -> str:
    """Say how a Delta table differs from the one that a model was trained on.

    Parameters
    ----------
    model
        The version before: a URI, whose run names its table.
    data
        The new table.

    Returns
    -------
    str
        One line; "" where both have the same columns, or one of them is no Delta table, or the old one is gone.

    Raises
    ------
    InputError
        There is no such model, or no such table as the new one.
    """
    if not (isinstance(model, str) and ":/" in model and isinstance(data, str | Path) and is_delta(data)):
        return ""
    from metamodel.flavor.registered import named_version  # MLflow, which other updates need not wait for
    from metamodel.tracking.record_generation import data_of_run

    run_id = named_version(model).run_id
    earlier = data_of_run(run_id).source if run_id else ""
    if not earlier.startswith(PREFIX):
        return ""
    now = resolved(data)
    try:
        types_before = delta_types(earlier)
    except InputError:  # cleaned up since; what the model needs is checked by the training
        return ""
    difference = schema_difference(types_before, delta_types(now))
    return f"{now} has other columns than {earlier}, on which {model} was trained: {difference}." if difference else ""


def schema_difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Name the columns that are new, gone, or of another type.

    Examples
    --------
    >>> schema_difference({"a": "long", "b": "double"}, {"a": "string", "c": "double"})
    'gone: b; new: c; changed: a (long, now string)'
    """
    both = [name for name in before if name in now and before[name] != now[name]]
    parts = {
        "gone": [name for name in before if name not in now],
        "new": [name for name in now if name not in before],
        "changed": [f"{name} ({before[name]}, now {now[name]})" for name in both],
    }
    return "; ".join(f"{what}: {listing(names)}" for what, names in parts.items() if names)
