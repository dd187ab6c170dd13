"""The orderly end of MLflow's scoring server: what its log has in the queue is written before the process goes.

Uvicorn lets the signal that ended it kill the process at last, so that nothing is done that Python does at its exit.
What does run is the application's own shutdown, after the last answer.
"""

import sys
from typing import Any

from metamodel.prediction_log.process_log import close_logs

__all__ = ["write_log_at_shutdown"]

_APP = "mlflow.pyfunc.scoring_server.app"


def write_log_at_shutdown() -> None:
    """Have the logs of this process written when its application shuts down; asked at every request, done once."""
    router: Any = getattr(getattr(sys.modules.get(_APP), "app", None), "router", None)
    hooks = getattr(router, "on_shutdown", None)
    if isinstance(hooks, list) and close_logs not in hooks:
        hooks.append(close_logs)
