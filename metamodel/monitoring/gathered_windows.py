"""Windows whose rows come in parts: what was counted of each so far, and the rows that later labels may need.

Memory grows with groups and columns, not with rows, nor with windows: of many windows some wait on disk.
"""

from pathlib import Path
from typing import Final, Self

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.temp_dirs import OwnedDirectory, sweep
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.monitoring.control_rows import arm_sums, sum_arms
from metamodel.monitoring.count_table import CountedRows
from metamodel.monitoring.kept_rows import KEY, LABEL, VARIANT_KEPT, KeptRows
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.prediction.answer_form import VARIANT
from metamodel.prediction_log.count_files import read_counts, write_counts
from metamodel.prediction_log.log_columns import prediction_type

__all__ = ["GatheredWindows"]

# Counts of so many windows are in memory at a time.
_IN_MEMORY: Final = 3

_PREFIX: Final = ".unfinished-"


class GatheredWindows:
    """Adds up parts, window by window.

    Parameters
    ----------
    state
        Where the windows come to lie; until they are complete they wait in a folder beside them.
    model
        Whose rows.
    on
        Columns that name a row; rows that have them are kept.

    Attributes
    ----------
    decided, labelled
        Labelled rows that came with what was answered; all labelled rows.
    """

    def __init__(self, state: MonitorState, model: MetaModel, on: tuple[str, ...]) -> None:
        state.root.mkdir(parents=True, exist_ok=True)
        sweep(state.root, _PREFIX)
        self._folder = OwnedDirectory(state.root, _PREFIX)
        self._state = state
        self._on = list(on)
        is_number = model.manifest.target.task == "regression"
        self._kept = KeptRows(self._folder.path, prediction_type("regression" if is_number else "labels", None))
        self._counts: dict[str, WindowCounts] = {}
        self._aside: dict[str, Path] = {}
        self._arms: dict[str, pd.DataFrame] = {}
        self.decided = self.labelled = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()
        self._folder.close()

    @property
    def names(self) -> list[str]:
        """Names of the windows, in order of time."""
        return sorted({*self._counts, *self._aside})

    def add(self, window: str, part: CountedRows) -> None:
        """Add the rows of a part to a window; "" is the name of one that has none yet."""
        self._counts[window] = part.counts.plus(self._taken(window))
        self._put_aside()
        kept_facts = part.answers.assign(**{KEY: part.rows.texts[part.rows.codes]})
        labelled = 0 if part.rows.labelled is None else int(part.rows.labelled.sum())
        self.labelled += labelled
        self.decided += labelled if "prediction" in part.frame else 0
        if VARIANT in part.frame:
            kept_facts[VARIANT_KEPT] = part.frame[VARIANT]
            sums = sum_arms([self._arms.get(window), arm_sums(part.rows, part.frame[VARIANT])])
            if sums is not None:
                self._arms[window] = sums
        if part.labels is not None:
            kept_facts[LABEL] = part.labels
        if set(self._on) <= set(part.frame) and "prediction" in part.answers:
            self._kept.add(window, part.frame[self._on], kept_facts)

    def finish(self, name: str, elsewhere: dict[str, WindowCounts]) -> None:
        """Put every window where it belongs.

        Parameters
        ----------
        name
            Of the window that has had none so far.
        elsewhere
            Window, by its name so far → counts of features that are in no row.
        """
        for window in self.names:
            counts = self._taken(window)
            assert counts is not None  # it is one of the names
            of_features = elsewhere.get(window)
            self._state.keep_counts(
                window or name, counts if of_features is None else counts.with_features(of_features)
            )
            if window in self._arms:
                self._state.keep_arms(window or name, self._arms[window])
        self._kept.finish(self._state, name)

    def _taken(self, window: str) -> WindowCounts | None:
        path = self._aside.pop(window, None)
        return self._counts.pop(window, None) if path is None else read_counts(path)

    def _put_aside(self) -> None:
        while len(self._counts) > _IN_MEMORY:
            window = next(iter(self._counts))  # the one that was added to the longest time ago
            self._aside[window] = self._folder.path / f"counts-{window}.parquet"
            write_counts(self._counts.pop(window), self._aside[window])
