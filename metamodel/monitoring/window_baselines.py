"""What a window is compared with: the training, an earlier window, one that a person approved, or rows at hand."""

import datetime as dt
from pathlib import Path
from typing import Any, Final

from metamodel.bundle.model import MetaModel
from metamodel.bundle.monitored.stored_reference import read_drift
from metamodel.common.messages import did_you_mean, listing
from metamodel.evaluation.drift.model_reference import ModelReference, reference_of_rows
from metamodel.exceptions import InputError
from metamodel.monitoring.count_table import predicted_answers
from metamodel.monitoring.model_rows import model_rows
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.tables.dataframes import as_pandas
from metamodel.tables.sources import read_source

__all__ = ["BASELINES", "reference_for", "with_baseline"]

BASELINES: Final = ("training", "previous", "last_year")

_YEAR: Final = dt.timedelta(weeks=52)


def reference_for(model: MetaModel, baseline: Any) -> ModelReference:
    """Get the bins in which windows are counted: those of the training, or of a table that is the measure.

    Raises
    ------
    InputError
        The model was trained without a reference, or has no child, or the table is none.
    """
    if isinstance(baseline, ModelReference):
        return baseline
    of_names = isinstance(baseline, str) and not Path(baseline).exists()
    if of_names and (stored := read_drift(model.bundle)) is not None:
        if not stored[0]:
            raise InputError(
                "No group of this model has a child of its own, and those are what training records for monitoring. "
                "Give a table of good rows as baseline."
            )
        return ModelReference(tuple(stored[0]), stored[1])
    if as_pandas(baseline) is None and not (isinstance(baseline, str | Path) and Path(baseline).exists()):
        raise InputError(
            "This model was trained without a reference, so there is nothing to compare with. Train it again without "
            "reference=False, or give a table of good rows as baseline."
        )
    frame, _ = read_source(baseline, model.manifest.keys.names)
    if not len(frame):
        raise InputError("The baseline has no row. Give rows of a time when all was well.")
    target = model.manifest.target.name
    labels = frame.get(target, None)
    return reference_of_rows(model_rows(model, frame, predicted_answers(model, frame), labels))


def with_baseline(reference: ModelReference, state: MonitorState, window: str, baseline: Any) -> ModelReference:
    """Compare with an earlier window, where that is asked for.

    Raises
    ------
    InputError
        There is no such window.
    """
    if not isinstance(baseline, str) or baseline == "training" or Path(baseline).exists():
        return reference
    earlier = state.names_before(window)
    if baseline == "previous":
        if not earlier:
            raise InputError(f"There is no window before {window!r} to compare with. Begin with baseline='training'.")
        return reference.with_counts(state.counts(earlier[0]).aligned(reference)[0])
    if baseline == "last_year":
        return reference.with_counts(state.counts(_year_before(window, earlier)).aligned(reference)[0])
    pinned = state.baselines
    if baseline not in pinned:
        names = [*BASELINES, *pinned]
        raise InputError(
            f"There is no baseline {baseline!r} (there are {listing(names)}). Pin a window under this name with "
            f"metamodel acknowledge --baseline.{did_you_mean(baseline, names)}"
        )
    return reference.with_counts(state.counts(pinned[baseline]["window"]).aligned(reference)[0])


def _year_before(window: str, earlier: list[str]) -> str:
    try:
        begins = dt.date.fromisoformat(window[:10]) - _YEAR
    except ValueError as error:
        raise InputError(
            f"The window {window!r} has no date, so that last year's is not known. Name a baseline."
        ) from error
    wanted = [name for name in earlier if name.startswith(begins.isoformat())]
    if not wanted:
        raise InputError(f"The window of last year ({begins}) is not there. Compare with the training until it is.")
    return wanted[0]
