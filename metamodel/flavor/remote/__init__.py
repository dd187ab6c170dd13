"""Models and children from where they live: whole models once a process, referenced children throttled.

It knows artifact stores, endpoints and the disk cache, and nothing of training. What most callers need has its name
here; who looks into a model that others logged takes it from the module.
"""

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
