"""Medians of repeats, and how results are shown: a table for people, JSON lines for machines."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def median_seconds(call: Callable[[], Any], repeats: int, clock: str = "wall") -> float:
    """Median of the times of several calls, after one that is not counted.

    The processor's time ("cpu") is the one to compare on a machine that others use too; both sides run in one thread.
    """
    now = CLOCKS[clock]
    call()
    times = []
    for _ in range(repeats):
        started = now()
        call()
        times.append(now() - started)
    return statistics.median(times)


def show(rows: Sequence[dict[str, Any]], output: Path | None) -> None:
    """Print a table; write JSON where a file is named."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    for line in [columns, *cells]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    if output is not None:
        output.write_text(json.dumps(list(rows), indent=2) + "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
