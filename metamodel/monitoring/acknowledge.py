"""`metamodel.acknowledge`: a person has looked at an incident, or approves a window as a measure."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metamodel.common.messages import did_you_mean, listing
from metamodel.exceptions import InputError
from metamodel.monitoring.monitor_state import MonitorState
from metamodel.monitoring.window_baselines import BASELINES

__all__ = ["acknowledge"]


def acknowledge(
    output: str | Path,
    incident: str | None = None,
    *,
    baseline: str | None = None,
    window: str | None = None,
    by: str | None = None,
    note: str = "",
) -> dict[str, Any]:
    """Say that somebody looked: the groups under the incident may be retrained, and nobody is called for it again.

    That lasts as long as the incident does: when it comes back after a window without it, it is told anew. The list of
    groups to retrain is made by the next call of `monitor`; the same window may be monitored again for it.

    Parameters
    ----------
    output
        The folder that `monitor` writes.
    incident
        Its id, or "all".
    baseline
        Instead of an incident: a name under which a window becomes a measure, for ``monitor(..., baseline=NAME)``.
    window
        Which one; by default the last.
    by, note
        Who, by default the user of this process, and why.

    Returns
    -------
    dict
        What was written: the incidents or the baseline, who and when.

    Raises
    ------
    InputError
        There is no such incident, window or folder, or the baseline has a name that is taken.
    """
    state = MonitorState(Path(output))
    windows = state.windows
    if not windows:
        raise InputError(f"{output} holds no window. Give the folder that metamodel monitor --output wrote.")
    entry = {"by": by or getpass.getuser(), "when": datetime.now(UTC).isoformat(timespec="seconds"), "note": note}
    if baseline is not None:
        return _pin(state, baseline, window or windows[-1], entry)
    incidents = state.table(window or windows[-1], "incidents")
    names = [] if incidents is None else incidents["id"].tolist()
    chosen = names if incident == "all" else [incident]
    if not names or any(name not in names for name in chosen):
        raise InputError(
            f"There is no incident {incident!r} in {window or windows[-1]} (it has {listing(names) or 'none'}). "
            f"Name one of them, or all.{did_you_mean(incident or '', names)}"
        )
    entry["window"] = window or windows[-1]
    state.keep_acknowledged({**state.acknowledged, **{str(name): entry for name in chosen}})
    return {"incidents": chosen, **entry}


def _pin(state: MonitorState, name: str, window: str, entry: dict[str, Any]) -> dict[str, Any]:
    if not name or name in BASELINES:
        raise InputError(f"baseline={name!r} means something else already. Choose another name.")
    state.counts(window)
    state.keep_baselines({**state.baselines, name: {"window": window, **entry}})
    return {"baseline": name, "window": window, **entry}
