"""What monitoring remembers between windows: a folder of files, each written whole, one folder a window.

The same window again replaces its folder's files, so that it counts once, however often it is looked at.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.common.messages import listing
from metamodel.common.whole_files import whole_file
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.prediction_log.count_files import read_counts, write_counts

__all__ = ["MonitorState"]

_WINDOWS = "windows"

_COUNTS = "counts.parquet"

_ACKNOWLEDGED = "acknowledged.json"

_ARMS = "control"

_BASELINES = "baselines.json"


@dataclass(frozen=True)
class MonitorState:
    """The folder that `metamodel monitor --output` names.

    Parameters
    ----------
    root
        The folder; made where it is not there.
    """

    root: Path

    def folder(self, window: str) -> Path:
        """Folder of one window."""
        return self.root / _WINDOWS / re.sub(r"[^0-9A-Za-z.+-]", "_", window)

    @property
    def windows(self) -> list[str]:
        """Windows that were counted, in order of time: their names are dates, or numbers."""
        folders = (self.root / _WINDOWS).glob(f"*/{_COUNTS}")
        return sorted(path.parent.name for path in folders)

    def before(self, window: str) -> list[Callable[[], WindowCounts]]:
        """Readers of the windows before one, the latest first."""
        earlier = [name for name in self.windows if name < self.folder(window).name]
        return [partial(self.counts, name) for name in reversed(earlier)]

    def names_before(self, window: str) -> list[str]:
        """Name the windows before one, the latest first."""
        return [name for name in reversed(self.windows) if name < self.folder(window).name]

    def counts(self, window: str, only: Sequence[str] | None = None) -> WindowCounts:
        """Read the counts of a window, or of some of its columns.

        Raises
        ------
        InputError
            There are none.
        """
        path = self.folder(window) / _COUNTS
        if not path.is_file():
            raise InputError(
                f"{self.root} holds no window {window!r} (it has {listing(self.windows, 4) or 'none'}). "
                "Monitor it first, or name one of these."
            )
        return read_counts(path, only)

    def keep_counts(self, window: str, counts: WindowCounts) -> None:
        """Write the counts of a window."""
        folder = self.folder(window)
        folder.mkdir(parents=True, exist_ok=True)
        write_counts(counts, folder / _COUNTS)

    def keep_arms(self, window: str, sums: pd.DataFrame) -> None:
        """Write what control and treated rows of a window came to."""
        folder = self.folder(window)
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / f"{_ARMS}.parquet") as unfinished:
            sums.to_parquet(unfinished)

    def arms(self, window: str) -> pd.DataFrame | None:
        """Read what control and treated rows of a window came to; None where rows do not say which they are."""
        return self.table(window, _ARMS)

    def table(self, window: str, name: str) -> pd.DataFrame | None:
        """Read a table that was written for a window; None where there is none."""
        path = self.folder(window) / f"{name}.parquet"
        return pd.read_parquet(path) if path.is_file() else None

    def summary(self, window: str) -> dict[str, Any]:
        """Read what was said of a window; nothing where it was not judged."""
        return _read(self.folder(window) / "monitor.json")

    @property
    def acknowledged(self) -> dict[str, dict[str, Any]]:
        """Incident → who acknowledged it, when, and why."""
        return _read(self.root / _ACKNOWLEDGED)

    @property
    def baselines(self) -> dict[str, dict[str, Any]]:
        """Name → the window that somebody approved as a measure."""
        return _read(self.root / _BASELINES)

    def keep_acknowledged(self, entries: dict[str, dict[str, Any]]) -> None:
        """Write who acknowledged what."""
        _write(self.root / _ACKNOWLEDGED, entries)

    def keep_baselines(self, entries: dict[str, dict[str, Any]]) -> None:
        """Write which windows are measures."""
        _write(self.root / _BASELINES, entries)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Restore the file, or remove it.") from error
    return dict(entries)


def _write(path: Path, entries: dict[str, dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
