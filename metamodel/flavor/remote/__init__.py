"""Models and children from where they live: whole models once a process, referenced children throttled.

It knows artifact stores, endpoints and the disk cache, and nothing of training. What most callers need has its name
here; who looks into a model that others logged takes it from the module. A name brings its module when it is asked for:
turns and the disk cache need no MLflow, which takes longer to import than they take to work.
"""

import importlib
from typing import TYPE_CHECKING, Any

from metamodel.common.fork_lock import not_during_fork

if TYPE_CHECKING:
    from metamodel.flavor.remote.http_hook import requests_sent
    from metamodel.flavor.remote.loader import ElsewhereLoader
    from metamodel.flavor.remote.mlmodel import MLMODEL, one_line
    from metamodel.flavor.remote.server_check import check_tracking_server
    from metamodel.flavor.remote.throttle import Throttle, is_network
    from metamodel.flavor.remote.throttled_tracking import briefly, throttled, tracking_throttle

__all__ = [
    "MLMODEL",
    "ElsewhereLoader",
    "Throttle",
    "briefly",
    "check_tracking_server",
    "is_network",
    "one_line",
    "requests_sent",
    "throttled",
    "tracking_throttle",
]

_MODULES = {
    "MLMODEL": "mlmodel",
    "ElsewhereLoader": "loader",
    "Throttle": "throttle",
    "briefly": "throttled_tracking",
    "check_tracking_server": "server_check",
    "is_network": "throttle",
    "one_line": "mlmodel",
    "requests_sent": "http_hook",
    "throttled": "throttled_tracking",
    "tracking_throttle": "throttled_tracking",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with not_during_fork():
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
