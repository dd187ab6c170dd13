"""Whether the tracking server is there, asked before hours of work whose result it shall take.

Apart from `metamodel.tracking.run`: there is no run yet, and it goes around MLflow, which would wait for minutes.
"""

import time

import mlflow
import requests

from metamodel.common.uris import redacted
from metamodel.exceptions import InputError

__all__ = ["check_tracking_server"]

_ATTEMPTS = 3

_PAUSE_SECONDS = 1.0

_PATIENCE_SECONDS = 10.0


def check_tracking_server() -> None:
    """Insist on a tracking server that can be connected to; what it answers is MLflow's affair.

    Raises
    ------
    InputError
        Nobody listens at an ``http(s)://`` tracking URI, at three attempts.
    """
    uri = mlflow.get_tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return
    for attempt in range(_ATTEMPTS):
        try:
            requests.head(uri, timeout=_PATIENCE_SECONDS, allow_redirects=False)
        except requests.exceptions.SSLError:  # somebody is there; which certificates count MLflow's variables say
            return
        except requests.ConnectionError as error:
            if attempt == _ATTEMPTS - 1:
                raise InputError(
                    f"The tracking server {redacted(uri)} cannot be reached ({_reason(error)}). "
                    "Start it, or correct MLFLOW_TRACKING_URI."
                ) from error
            time.sleep(_PAUSE_SECONDS)
        except requests.RequestException:  # a slow answer is an answer to come
            return
        else:
            return


def _reason(error: requests.ConnectionError) -> str:
    """Find what the system said under the tower of libraries."""
    inner = getattr(error.args[0], "reason", error) if error.args else error
    return str(inner).rpartition(": ")[2]
