"""One log a process, whoever answers in it: a server's models, and those that are swapped in later."""

import atexit

from metamodel.common.fork_lock import ForkLock
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_writer import PredictionLog

__all__ = ["close_logs", "process_log"]

_lock = ForkLock()

_logs: dict[LogSettings, PredictionLog] = {}


def process_log(settings: LogSettings) -> PredictionLog:
    """Give this process's log of these settings; at the process's orderly end what is in the queue is written."""
    with _lock:
        log = _logs.get(settings)
        if log is None:
            log = _logs[settings] = PredictionLog(settings)
        return log


def close_logs() -> None:
    """Write away what is in the queues of this process, and take nothing more."""
    for log in list(_logs.values()):
        log.close()


atexit.register(close_logs)
