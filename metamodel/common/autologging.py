"""MLflow's autologging, kept out of fits that are no runs of their own.

This module imports no MLflow: only a caller who has imported it can have switched autologging on.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["autologging_off"]

_SWITCHES = "mlflow.utils.autologging_utils"


@contextmanager
def autologging_off() -> Iterator[None]:
    """Keep `mlflow.autolog()` from making a run, or logging a model, for every fit inside the block.

    One training is one run, whatever the number of groups and wherever they are fitted. Databricks has autologging on
    by default.
    """
    switches = sys.modules.get(_SWITCHES)
    # MLflow's own context ends with autologging on, also where the caller had begun with it off.
    if switches is None or switches._AUTOLOGGING_GLOBALLY_DISABLED:
        yield
        return
    with switches.disable_autologging():
        yield
