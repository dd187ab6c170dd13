"""What monitoring says of a registered version's groups, in the history beside that version."""

from pathlib import Path
from typing import Any, Self

import pandas as pd

from metamodel.common.progress import say
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError, MetaModelError
from metamodel.flavor.registered import Named, named_version
from metamodel.lineage.history_store import HistoryStore, append_monitor

__all__ = ["WindowHistory"]


class WindowHistory:
    """Writes what is said of the groups in a window into a history.

    Parameters
    ----------
    version
        The registered version that is monitored.
    place
        Folder or address of the history.
    """

    def __init__(self, version: Named, place: str) -> None:
        self.version = version
        self._place = place

    @classmethod
    def of(cls, model: Any, history: str | Path | None) -> Self | None:
        """Find the version that a model is, before a window is judged; its alias may move meanwhile.

        Parameters
        ----------
        model
            What is monitored.
        history
            Folder or address of the history; by default METAMODEL_HISTORY, if it is set.

        Returns
        -------
        WindowHistory or None
            None where there is no history, or where that of the environment has nothing to do with the model: it is
            no registered version.

        Raises
        ------
        InputError
            A history is given and it is none, nobody may write there, or the model is no registered version.
        """
        store = HistoryStore.configured(history)
        if store is None:
            return None
        store.check_writable()
        version = named_version(model)
        if history and not version.version:
            raise InputError(f"{version.facts('')['uri']} is no registered version, and a history holds those alone.")
        return cls(version, store.place) if version.version else None

    def keep(self, window: str, groups: pd.DataFrame) -> bool:
        """Write `Monitoring.groups` of a window, whose rows take the place of those that stand there.

        Returns
        -------
        bool
            Whether it was kept. Where the history fails one line says so: what was found is not lost by that.
        """
        name, number = self.version.name, int(self.version.version)
        try:
            return append_monitor(groups, model=name, version=number, window=window, history=self._place)
        except MetaModelError as error:
            say(f"Window {window} is missing in the history ({redacted(str(error))}). Run the same command again.")
            return False
