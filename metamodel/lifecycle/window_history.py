"""What monitoring says of a registered version's groups, in the history beside that version."""

from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.common.progress import say
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError, MetaModelError
from metamodel.lifecycle.registered import named_version
from metamodel.lineage.history_store import HistoryStore, append_monitor

__all__ = ["check_window_history", "keep_window"]


def check_window_history(model: Any, history: str | Path | None) -> None:
    """Refuse before a window is judged what could not be kept of it.

    Raises
    ------
    InputError
        A history is given and it is none, nobody may write there, or the model is no registered version.
    """
    store = HistoryStore.configured(history)
    if store is None:
        return
    store.check_writable()
    if history and not named_version(model).version:
        raise InputError(f"{redacted(str(model))} is no registered version, and a history holds those alone.")


def keep_window(model: Any, window: str, groups: pd.DataFrame, history: str | Path | None = None) -> bool:
    """Write what monitoring says of the groups in a window into the history, where one is configured.

    Parameters
    ----------
    model
        The URI of the registered version that was monitored; of other models nothing is kept.
    window
        The window's name; its rows take the place of those that stand there.
    groups
        `Monitoring.groups`.
    history
        Folder or address of the history; by default METAMODEL_HISTORY, if it is set.

    Returns
    -------
    bool
        Whether it was kept. Where the history fails one line says so: what was found is not lost by that.
    """
    if HistoryStore.configured(history) is None or not (named := named_version(model)).version:
        return False
    try:
        return append_monitor(groups, model=named.name, version=int(named.version), window=window, history=history)
    except MetaModelError as error:
        say(f"Window {window} is missing in the history ({redacted(str(error))}). Run the same command again.")
        return False
