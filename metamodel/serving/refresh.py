"""Follow an alias while serving: the version that it points at is opened beside the one that answers, then swapped in.

A request is answered by one version from its first byte to its last. The version before answers what it has begun;
when nothing needs it any more, its files are taken away where this process had fetched them.
"""

import logging
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from metamodel.common.messages import error_text
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError
from metamodel.flavor.load import forget_download
from metamodel.flavor.remote import check_tracking_server

if TYPE_CHECKING:
    from metamodel.serving.app import Service
    from metamodel.serving.scorer import Scorer

__all__ = ["AliasWatch", "followed_alias", "version_now"]

_logger = logging.getLogger(__name__)

_ALIAS = re.compile(r"models:/([^/@:]+)@([^/@]+)")

_VERSION = re.compile(r"models:/([^/@:]+)/(\d+)")

_DRAIN_POLL_SECONDS = 0.1


def followed_alias(uri: str) -> tuple[str, str]:
    """Take a URI that an alias can be followed by: registered model and alias.

    Raises
    ------
    InputError
        It names one version for ever.

    Examples
    --------
    >>> followed_alias("models:/sales@champion")
    ('sales', 'champion')
    """
    match = _ALIAS.fullmatch(uri)
    if match is None:
        raise InputError(
            f"--refresh follows an alias, and {redacted(uri)} has none. Serve models:/NAME@ALIAS, or leave it out."
        )
    return match[1], match[2]


def version_now(uri: str) -> str:
    """Say which registered version a URI names now, as ``sales/8``; "" where it names none.

    Raises
    ------
    TrackingServerUnavailable
        The URI names an alias, and the server that knows it does not answer.
    """
    if match := _VERSION.fullmatch(uri):
        return f"{match[1]}/{match[2]}"
    if match := _ALIAS.fullmatch(uri):
        check_tracking_server()
        try:
            return f"{match[1]}/{MlflowClient().get_model_version_by_alias(*match.groups()).version}"
        except MlflowException:  # who opens the model says why
            return ""
    return ""


class AliasWatch(threading.Thread):
    """Looks again and again where an alias points, and lets the service answer with that version.

    Parameters
    ----------
    service
        Whose version is swapped.
    uri
        Of the registered model by its alias.
    seconds
        Between two looks.
    open_scorer
        Opens and warms up a version, named as ``sales/8``.
    """

    def __init__(self, service: "Service", uri: str, seconds: float, open_scorer: "Callable[[str], Scorer]") -> None:
        super().__init__(name="metamodel-refresh", daemon=True)
        self._service = service
        self._name, self._alias = followed_alias(uri)
        self._seconds = seconds
        self._open_scorer = open_scorer
        self._stopped = threading.Event()
        self._complaint = ""

    def run(self) -> None:
        """Look until the process ends, or `stop` is called."""
        self.look()  # a worker that was started again has the version of the server's start
        while not self._stopped.wait(self._seconds):
            self.look()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> bool:
        """Look once; returns whether another version answers now. Whatever goes wrong, the one before answers on."""
        try:
            number = MlflowClient().get_model_version_by_alias(self._name, self._alias).version
            version = f"{self._name}/{number}"
            if version == self._service.scorer.version:
                self._complaint = ""
                return False
            scorer = self._open_scorer(version)
        except Exception as error:  # noqa: BLE001 - a registry, a store and a model may fail in any way
            self._complain(error)
            return False
        replaced = self._service.swap(scorer)
        self._complaint = ""
        _logger.warning("%s answers now in place of %s.", version, replaced.version or "the model before")
        self._drain(replaced)
        return True

    def _complain(self, error: Exception) -> None:
        """Say once what is wrong, not at every look."""
        self._service.figures.refresh_failed()
        text = f"{self._name}@{self._alias} cannot be followed ({redacted(error_text(error))})"
        if text != self._complaint:
            self._complaint = text
            _logger.warning("%s. %s answers on.", text, self._service.scorer.version or "The model before")

    def _drain(self, before: "Scorer") -> None:
        """Wait until nothing needs a version any more, then take its files away."""
        # Once in any case: a request may have taken the version, and not have said so yet.
        while not self._stopped.wait(_DRAIN_POLL_SECONDS) and self._service.uses(before):
            pass
        self._service.forget(before)
        forget_download(before.model)
