"""Log the children of a training one by one, for those who want to see each of them in MLflow (docs/references.md).

The server is the only journal: what a group's model or run is found by are its tags, so that whoever comes again, from
wherever, goes on with what is missing.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import mlflow

from metamodel.bundle.ledger_queries import keys_of
from metamodel.bundle.model import MetaModel
from metamodel.bundle.references import ReferenceSettings
from metamodel.common.choices import LogChildren
from metamodel.common.progress import say
from metamodel.common.temp_dirs import temporary_directory
from metamodel.common.validation import one_of
from metamodel.flavor.environment import Environment
from metamodel.flavor.load import open_bundle
from metamodel.flavor.remote import throttled, tracking_throttle
from metamodel.tables.keys import encode_key
from metamodel.tracking.children.earlier_runs import hint_at_earlier
from metamodel.tracking.children.group_facts import GroupFacts
from metamodel.tracking.children.log_all import log_groups
from metamodel.tracking.children.models import ModelDestination, remove_unfinished
from metamodel.tracking.children.referring_bundle import refer_to
from metamodel.tracking.children.runs import RunDestination, quiet
from metamodel.training.result import TrainingResult

__all__ = ["ChildLogging"]


class ChildLogging:
    """How the children of a training are logged.

    Parameters
    ----------
    mode
        "bundle": in the meta-model alone. "models": each as an MLflow model, to which the meta-model refers. "runs": in
        the meta-model, and a nested run for each group.
    settings
        Rate, concurrency and patience; with "models" also for those who fetch the children later.

    Raises
    ------
    InputError
        The mode is unknown.
    """

    def __init__(self, mode: LogChildren, settings: ReferenceSettings | None = None) -> None:
        one_of("log_children", mode, get_args(LogChildren))
        self.mode = mode
        self._identity = ""
        self._settings = settings or ReferenceSettings()

    def identity(self, result: TrainingResult) -> str:
        """Digest of what was trained on what: the same command on the same rows may go on in a run; "" for a bundle."""
        if self.mode == "bundle":
            return ""
        manifest, ledger = result.manifest, result.ledger
        digest = hashlib.sha256(f"{self.mode} {manifest.spec_digest}".encode())
        for key, fingerprint in zip(keys_of(ledger, manifest.keys), ledger["fingerprint"], strict=True):
            digest.update(f"{encode_key(key)}\0{fingerprint}\0".encode())
        self._identity = digest.hexdigest()
        return self._identity

    @contextmanager
    def throttled(self) -> Iterator[None]:
        """Let all that is logged in the block take turns, where it is more than a bundle's few requests."""
        if self.mode == "bundle":
            with throttled(tracking_throttle(self._settings, paced=False)):
                yield
            return
        with throttled(tracking_throttle(self._settings)), quiet():
            yield

    @contextmanager
    def logged(
        self, result: TrainingResult, run: mlflow.ActiveRun, name: str, model: MetaModel, environment: Environment
    ) -> Iterator[MetaModel]:
        """Log the children, and hand out the meta-model that is to be logged beside them.

        Parameters
        ----------
        result
            What was trained.
        run
            The one run.
        name
            The meta-model's name.
        model
            The trained bundle; what a call without params answers stays as it is.
        environment
            The code and packages that go with each child that is logged as a model.

        Raises
        ------
        LoggingFailed
            A group could not be logged; the same call goes on with what is missing.
        """
        if self.mode == "bundle":
            yield model
            return
        throttle, concurrency = tracking_throttle(self._settings), self._settings.concurrency
        if (hint := hint_at_earlier(run, self._identity, throttle)) is not None:
            say(hint)
        facts = GroupFacts(result.ledger, result.manifest.keys, only_children=self.mode == "models")
        if self.mode == "runs":
            log_groups(RunDestination(facts, run, throttle), throttle, concurrency)
            yield model
            remove_unfinished(run, name, throttle)
            return
        models = ModelDestination(model, facts, run, name, throttle, environment)
        log_groups(models, throttle, concurrency)
        with temporary_directory("refer") as directory:
            path = refer_to(model.bundle, models.logged, self._settings, directory / "bundle")
            options = model.options()
            yield open_bundle(path, defaults={"predict_method": options.predict_method, "detail": options.detail})
            models.log_metrics()
            remove_unfinished(run, name, throttle)
