"""Medians of repeats, and how results are shown: a table for people, JSON for machines."""

import contextlib
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def median_seconds(sides: Mapping[str, Callable[[], Any]], repeats: int, clock: str = "wall") -> dict[str, float]:
    """Median of the times of several calls of each side, after one of each that is not counted.

    The sides take turns, so that a neighbour's load falls on all of them alike. The processor's time ("cpu") is the one
    to compare on a machine that others use too; all sides run in one thread.
    """
    now = CLOCKS[clock]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, call in sides.items():
            started = now()
            call()
            if repeat:
                times[name].append(now() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def megabytes(leader: int) -> float:
    """Memory that a process group takes (PSS: a page that several processes share counts once); on Linux alone."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(folder.name)) == leader:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def show(rows: Sequence[dict[str, Any]], output: Path | None) -> None:
    """Print a table; write JSON where a file is named."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    for line in [columns, *cells]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    keep(list(rows), output)


def keep(results: Any, output: Path | None) -> None:
    """Write results as JSON where a file is named."""
    if output is not None:
        output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def numbers(text: str) -> list[int]:
    """Read a list of numbers such as "100,1e6"."""
    return [int(float(part)) for part in text.split(",")]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
