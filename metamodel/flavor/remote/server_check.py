"""Whether the tracking server is there, asked before MLflow asks: it would try again for minutes before it says so."""

import os
import re
import threading
import time
from collections.abc import Collection
from urllib.parse import urlsplit

import mlflow
import requests
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from metamodel.common.messages import short_line
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError, TrackingServerUnavailable
from metamodel.flavor.remote.new_database import make_databases

__all__ = ["SECONDS_VARIABLE", "check_tracking_server", "needs_tracking_server", "server_problem"]

# How long the first answer of a tracking server is waited for.
SECONDS_VARIABLE = "METAMODEL_SERVER_SECONDS"

_SECONDS = 2.0

_ATTEMPTS = 3

_OVERLOADED = (502, 503, 504)

_PAUSE_SECONDS = 0.4

# The cheapest question for which a server wants credentials; its /health answers anybody.
_ENDPOINT = "/api/2.0/mlflow/experiments/search"

_OF_TRACKING = frozenset(["models", "runs", "mlflow-artifacts"])

_CORRECT = "Start it, or correct MLFLOW_TRACKING_URI."


def needs_tracking_server(uri: str) -> bool:
    """Whether a tracking server says where the files of a URI are.

    Examples
    --------
    >>> needs_tracking_server("models:/sales@champion"), needs_tracking_server("s3://models/sales")
    (True, False)
    """
    return urlsplit(uri).scheme in _OF_TRACKING


def check_tracking_server(*, patient: bool = False) -> None:
    """Insist on a tracking server that answers, and a registry where that is another one; make a new store's database.

    Parameters
    ----------
    patient
        Take a server that is overloaded (502, 503, 504) for one that answers: whoever asks will wait for it.

    Raises
    ------
    TrackingServerUnavailable
        Nobody answers at the ``http(s)://`` URI within `METAMODEL_SERVER_SECONDS`, somebody else than MLflow does, or
        the server refuses the credentials, or fails.
    StorageFailed
        A database that is not there yet cannot be made.
    """
    uris = list(dict.fromkeys([mlflow.get_tracking_uri(), mlflow.get_registry_uri()]))
    make_databases(uris)
    for uri in uris:
        if problem := server_problem(uri, patient=patient):
            raise TrackingServerUnavailable(f"The tracking server {redacted(uri)} {problem}")


def server_problem(uri: str, *, patient: bool = False) -> str:
    """Say what is wrong with a tracking server, and what to do; "" where it answers, or is none.

    It is asked in a thread of its own: neither a name that nobody resolves nor an answer that comes byte by byte heeds
    the timeout of a request.
    """
    if not uri.startswith(("http://", "https://")):
        return ""
    seconds, problems = _seconds(), list[str]()
    asking = threading.Thread(target=_ask, args=(uri, seconds, problems, _OVERLOADED if patient else ()), daemon=True)
    asking.start()
    asking.join(seconds)
    return problems[-1] if problems else _silence(seconds)


def _silence(seconds: float) -> str:
    return f"has not answered within {seconds:g} s. {_CORRECT} For one that is slow set {SECONDS_VARIABLE}."


def _seconds() -> float:
    text = os.environ.get(SECONDS_VARIABLE) or str(_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise InputError(f"{SECONDS_VARIABLE}={text!r} is no number of seconds. Set it to {_SECONDS:g} or so.")
    return seconds


def _ask(uri: str, seconds: float, problems: list[str], fine: Collection[int]) -> None:
    """Note what comes of asking; once more where a server that is being started again may answer a moment later."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        again, problem = _one_answer(uri, seconds, fine)
        problems.append(problem)
        if not again:
            break


def _one_answer(uri: str, seconds: float, fine: Collection[int]) -> tuple[bool, str]:
    """Send one request: (whether another may fare better, what is wrong)."""
    try:
        answer = _request(uri, seconds)
    except requests.exceptions.SSLError as error:
        return (
            False,
            f"cannot be reached ({_reason(error)}). Correct http:// or https:// in its URI, or its certificate.",
        )
    except requests.exceptions.Timeout:
        return False, _silence(seconds)
    except requests.RequestException as error:
        return True, f"cannot be reached ({_reason(error)}). {_CORRECT}"
    if answer.status_code in fine:
        return False, ""
    return answer.status_code >= 500, _refusal(answer)


def _refusal(answer: requests.Response) -> str:
    """Say what is wrong with an answer; "" for one of MLflow's."""
    status = f"{answer.status_code} {answer.reason}".strip()
    if answer.status_code in (401, 403):
        remedy = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        return f"refuses these credentials ({status}). {remedy}"
    if answer.status_code >= 500:
        return f"fails ({status}). See its log, or try again later."
    if answer.status_code != 429 and not _is_mlflow(answer):
        return f"is none of MLflow's ({status}, {_content_type(answer)}). Correct MLFLOW_TRACKING_URI."
    return ""


def _request(uri: str, seconds: float) -> requests.Response:
    try:
        # What MLflow would send: its credentials, certificates and headers.
        answer: requests.Response = http_request(
            get_default_host_creds(uri),
            _ENDPOINT,
            "POST",
            json={"max_results": 1},
            max_retries=0,
            timeout=2 * seconds,  # whoever waits has gone by then
            raise_on_status=False,
        )
    except requests.RequestException:
        raise
    except Exception as error:  # MLflow wraps what went wrong in its own
        raise _wrapped(error) from error
    return answer


def _wrapped(error: Exception) -> requests.RequestException:
    cause = error.__cause__ or error.__context__
    return cause if isinstance(cause, requests.RequestException) else requests.RequestException(str(error))


def _is_mlflow(answer: requests.Response) -> bool:
    try:
        content = answer.json()
    except ValueError:
        return False
    known = {"experiments", "next_page_token"} if answer.status_code == 200 else {"error_code", "message"}
    return isinstance(content, dict) and content.keys() <= known


def _content_type(answer: requests.Response) -> str:
    return short_line(answer.headers.get("Content-Type", "no content type").partition(";")[0], 60)


def _reason(error: requests.RequestException) -> str:
    """Find what the system said under the tower of libraries."""
    inner = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    line = (str(inner).splitlines() or [type(inner).__name__])[0]
    return redacted(short_line(re.sub("^.*(object at 0x[0-9a-f]+>|new connection|host=.*)[^:]*: ", "", line), 200))
