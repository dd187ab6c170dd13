"""Results as text for people, or as JSON for programs."""

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dumps", "packed_text", "section", "table_text"]


# pandas is imported where a result is shown: `metamodel --help` takes a third of a second less without it.
def section(name: str, value: Any) -> str:
    """Show a table, the entries of a dict, or one value under its name."""
    import pandas as pd

    if value is None or (isinstance(value, pd.DataFrame | dict) and not len(value)):
        return f"{name}: none"
    if isinstance(value, pd.DataFrame):
        return f"{name}\n{table_text(value)}"
    if isinstance(value, dict):
        return "\n".join([name, *(f"  {key:<26} {entry}" for key, entry in value.items())])
    return f"{name}: {value}"


def table_text(frame: "pd.DataFrame") -> str:
    """Show a table without its index; pandas would show the columns of one without rows."""
    from metamodel.bundle.display import number_text

    if frame.empty:
        return "none"
    return frame.to_string(index=False, max_colwidth=60, float_format=number_text)


def dumps(value: Any) -> str:
    """Write strict JSON."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def _plain(item: Any) -> Any:
    """Make JSON of it: numbers stay numbers, whatever is missing or infinite becomes null."""
    import numpy as np
    import pandas as pd

    if isinstance(item, pd.DataFrame):
        return [_plain(row) for row in item.astype(object).to_dict(orient="records")]
    if isinstance(item, dict):
        return {str(name): _plain(entry) for name, entry in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(entry) for entry in item]
    item = item.item() if isinstance(item, np.generic) else item
    if item is None or pd.isna(item) or item in (math.inf, -math.inf):
        return None
    return item if isinstance(item, str | int | float) else str(item)


def packed_text(packed: dict[str, Any], name: str | None, alias: str | None) -> str:
    """Say what `metamodel.tracking.pack_stacks.repack` made."""
    lines = [f"stacked           {packed['groups_stacked']:,} of {packed['groups_fitted']:,} groups"]
    lines += [f"  {groups:>12,}  {reason}" for reason, groups in packed["not_stacked"].items()]
    if packed["output"]:
        lines.append(f"written to        {packed['output']}")
    if packed["version"]:
        lines.append(f"registered        {name}, version {packed['version']}" + (f", alias {alias}" if alias else ""))
    return "\n".join(lines)
