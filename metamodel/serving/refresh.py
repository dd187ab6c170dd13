"""Follow aliases while serving: the version that one points at is opened beside the one that answers, then swapped in.

Followed are the model's alias, and that of a challenger beside it; where either moves, both are opened anew.
A request is answered by one version from its first byte to its last. The version before answers what it has begun;
when nothing needs it any more, its files are taken away where this process had fetched them.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
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

__all__ = ["AliasWatch", "followed_aliases", "version_now"]

_logger = logging.getLogger(__name__)

_ALIAS = re.compile(r"models:/([^/@:]+)@([^/@]+)")

_VERSION = re.compile(r"models:/([^/@:]+)/(\d+)")

_DRAIN_POLL_SECONDS = 0.1


def followed_aliases(uris: Sequence[str]) -> list[str]:
    """Take the aliases that models can be followed by, as ``sales@champion``.

    Parameters
    ----------
    uris
        Of the model, and of the challenger beside it, if any.

    Raises
    ------
    InputError
        Each names one version for ever.

    Examples
    --------
    >>> followed_aliases(["models:/sales/8", "models:/sales@challenger"])
    ['sales@challenger']
    """
    aliases = [f"{match[1]}@{match[2]}" for match in map(_ALIAS.fullmatch, uris) if match]
    if not aliases:
        named = " and ".join(map(redacted, uris))
        has = "has" if len(uris) == 1 else "have"
        raise InputError(
            f"--refresh follows an alias, and {named} {has} none. Serve models:/NAME@ALIAS, or leave it out."
        )
    return aliases


def version_now(uri: str) -> str:
    """Say which registered version a URI names now, as ``sales/8``; "" where it names none.

    Raises
    ------
    TrackingServerUnavailable
        The URI names an alias, and the server that knows it does not answer.
    """
    if _ALIAS.fullmatch(uri):
        check_tracking_server()
    try:
        return _version(uri)
    except MlflowException:  # who opens the model says why
        return ""


def _version(uri: str) -> str:
    """Say the same; where the registry cannot tell, its error says why."""
    if match := _ALIAS.fullmatch(uri):
        return f"{match[1]}/{MlflowClient().get_model_version_by_alias(*match.groups()).version}"
    match = _VERSION.fullmatch(uri)
    return f"{match[1]}/{match[2]}" if match else ""


class AliasWatch(threading.Thread):
    """Looks again and again where aliases point, and lets the service answer with those versions.

    Parameters
    ----------
    service
        Whose versions are swapped.
    uris
        Of the model, and of the challenger that is served beside it, if any; at least one by an alias.
    seconds
        Between two looks.
    open_scorer
        Opens and warms up a version of the model, named as ``sales/8`` ("" for a model that is none), and beside it
        what the challenger's URI names.
    """

    def __init__(
        self, service: "Service", uris: Sequence[str], seconds: float, open_scorer: "Callable[[str], Scorer]"
    ) -> None:
        super().__init__(name="metamodel-refresh", daemon=True)
        self._service = service
        self._uris = list(uris)
        self._aliases = " and ".join(followed_aliases(uris))
        self._seconds = seconds
        self._open_scorer = open_scorer
        self._stopped = threading.Event()
        self._complaint = ""
        self._draining: list[Scorer] = []

    def run(self) -> None:
        """Look until the process ends, or `stop` is called."""
        self.look()  # a worker that was started again has the versions of the server's start
        due = time.monotonic() + self._seconds
        while not self._stopped.wait(self._pause(due)):
            self.let_go()
            if time.monotonic() >= due:
                self.look()
                due = time.monotonic() + self._seconds

    def _pause(self, due: float) -> float:
        """Say how long to wait: a request may have taken a version that was swapped out, and not have said so yet."""
        return _DRAIN_POLL_SECONDS if self._draining else max(0.0, due - time.monotonic())

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def look(self) -> bool:
        """Look once; returns whether another version answers now. Whatever goes wrong, the one before answers on."""
        try:
            versions = [_version(uri) for uri in self._uris]
            if versions == self._service.scorer.versions[: len(versions)]:
                self._complaint = ""
                return False
            scorer = self._open_scorer(versions[0])
        except Exception as error:  # noqa: BLE001 - a registry, a store and a model may fail in any way
            self._complain(error)
            return False
        replaced = self._service.swap(scorer)
        self._draining.append(replaced)
        self._complaint = ""
        self._tell(replaced, scorer)
        return True

    def _tell(self, replaced: "Scorer", scorer: "Scorer") -> None:
        """Say what serves from now on."""
        for role, now, before in zip(("answers", "is the challenger"), scorer.versions, replaced.versions, strict=True):
            if now != before:
                _logger.warning("%s %s now in place of %s.", now or "The model", role, before or "the model before")

    def _complain(self, error: Exception) -> None:
        """Say once what is wrong, not at every look."""
        self._service.figures.refresh_failed()
        text = f"{self._aliases} cannot be followed ({redacted(error_text(error))})"
        if text != self._complaint:
            self._complaint = text
            answering, challenger = self._service.scorer.versions
            beside = f", with {challenger} beside it" if challenger and len(self._uris) > 1 else ""
            _logger.warning("%s. %s answers on%s.", text, answering or "The model before", beside)

    def let_go(self) -> None:
        """Let versions go that nothing needs any more, and take their files away."""
        ended = [scorer for scorer in self._draining if not self._service.uses(scorer)]
        for scorer in ended:
            self._draining.remove(scorer)
            self._service.forget(scorer)
            scorer.close()
        needed = {model.logged for scorer in (self._service.scorer, *self._draining) for model in scorer.models}
        for model in (model for scorer in ended for model in scorer.models):
            if model.logged not in needed:  # where only the challenger has moved, the champion is the same
                forget_download(model)
