"""Each child as an MLflow model of its own, made by the one run; found again by its tags, so never made twice.

A child takes five requests where `mlflow.sklearn.log_model` takes eleven: one makes the model with its tags and
parameters, three upload MLmodel, the pickle and python_env.yaml (which lists the requirements itself, so that there is
no requirements.txt), one marks it READY, which says that nothing is missing. Each file of the caller's own code is one
more. The metrics of many models are one request; they are logged behind the meta-model, to which MLflow would copy what
the run has of metrics before.

Children are no *outputs* of the run: MLflow keeps these in a list that every look at the run fetches, and lists one
twice whose request was repeated.
"""

import copy
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelStatus, Metric, Run
from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from metamodel.bundle.codecs import SkopsCodec, get_codec
from metamodel.bundle.model import MetaModel
from metamodel.common.temp_dirs import temporary_directory
from metamodel.flavor.environment import CODE_DIR, Environment
from metamodel.flavor.remote import MLMODEL, Throttle
from metamodel.flavor.signature import child_signature
from metamodel.tracking.children.destination import Destination, Logged
from metamodel.tracking.children.group_facts import CHILD_TAG, GROUP_TAG, Group, GroupFacts

__all__ = ["ModelDestination", "remove_unfinished"]

_FILE_TAG = "metamodel.sha256"

_ENVIRONMENT_TAG = "metamodel.environment"

_ENVIRONMENT = "python_env.yaml"

_LARGEST_BATCH = 1000


class ModelDestination(Destination):
    """Logs children as models.

    Parameters
    ----------
    model
        The trained bundle.
    facts
        Its groups with a child.
    run
        The run that makes the models.
    name
        The meta-model's name, with which the names of its children begin.
    throttle
        How the server is called.
    environment
        The code and packages that go with each model.
    """

    what = "models"

    def __init__(
        self, model: MetaModel, facts: GroupFacts, run: Run, name: str, throttle: Throttle, environment: Environment
    ) -> None:
        super().__init__(facts, run, throttle)
        self._model = model
        self._name = name
        self._files = _Files(model, environment)
        self._code = environment.code_files()
        self._environment = environment.digest()

    def holds(self, group: Group) -> bool:
        """Whether this very child is there, complete, with the same code and packages."""
        return super().holds(group) and self.logged[group.digest].environment == self._environment

    def log(self, group: Group) -> None:
        """Make the model, unless it is there, upload its files, and mark it as READY."""
        child = self._files.serialized(self._model.child(group.key))
        identity = (child.sha256, group.child_sha256, self._environment)
        on_server = self._dismissed(
            group, same=lambda other: (other.sha256, other.child_sha256, other.environment) == identity
        )
        if on_server is None:
            on_server = self._found_or_made(group, lambda: self._made(group, child.sha256))
        self.logged[group.digest] = on_server
        with temporary_directory("log") as directory:
            repository = get_artifact_repository(on_server.place)
            files = self._files.written(directory, child, on_server, self.run_id, group)
            for path, folder in [*self._code, *((path, None) for path in files)]:
                self._throttle.call(
                    group.encoded,
                    lambda path=path, folder=folder: repository.log_artifact(str(path), folder),  # type: ignore[misc]
                )
        self._throttle.call(group.encoded, lambda: self._client.finalize_logged_model(on_server.id, "READY"))

    def log_metrics(self) -> None:
        """Log the metrics of all models, a thousand a request.

        They stand in the run too, as one curve over the groups. Repeated ones are the same ones, because they have the
        same time.
        """
        moment = self._run.info.start_time
        metrics = (
            Metric(name, value, moment, group.number, model_id=self.logged[group.digest].id)
            for group in self.facts
            for name, value in self.facts.metrics(group, but=["rows"]).items()  # the run has `rows` of its own
        )
        while batch := list(itertools.islice(metrics, _LARGEST_BATCH)):
            self._throttle.call("", lambda batch=batch: self._client.log_batch(self.run_id, metrics=batch))  # type: ignore[misc]

    def _made(self, group: Group, sha256: str) -> Logged:
        noted = {_FILE_TAG: sha256, **({_ENVIRONMENT_TAG: self._environment} if self._environment else {})}
        made = self._client.create_logged_model(
            self._run.info.experiment_id,
            name=f"{self._name}-{group.label}",
            source_run_id=self.run_id,
            tags={**self.facts.tags(group), **noted},
            params=self.facts.params(group),
        )
        return _what_is_there(made)

    def _listed(self, digest: str = "") -> Iterator[tuple[str, Logged]]:
        condition = f"tags.`{GROUP_TAG}` = '{digest}'" if digest else ""
        for found in _models_of(self._run, self._throttle, condition):
            if GROUP_TAG in found.tags:
                yield found.tags[GROUP_TAG], _what_is_there(found)

    def _delete(self, key: str, found: Logged) -> None:
        self._throttle.call(key, lambda: self._client.delete_logged_model(found.id))


def _what_is_there(model: LoggedModel) -> Logged:
    ready = model.status == LoggedModelStatus.READY
    child, file, environment = (model.tags.get(tag, "") for tag in (CHILD_TAG, _FILE_TAG, _ENVIRONMENT_TAG))
    return Logged(model.model_id, child, ready, model.artifact_location, file, environment)


def remove_unfinished(run: Run, name: str, throttle: Throttle) -> None:
    """Delete meta-models of a run that were made and never finished: of attempts whose answer was lost."""
    client = MlflowClient()
    for found in list(_models_of(run, throttle, f"name = '{name}'")):
        if found.status != LoggedModelStatus.READY:
            throttle.call("", lambda found=found: client.delete_logged_model(found.model_id))  # type: ignore[misc]


def _models_of(run: Run, throttle: Throttle, condition: str = "") -> Iterator[LoggedModel]:
    """Yield the models that a run has made, the oldest first."""
    client, experiment = MlflowClient(), run.info.experiment_id
    query = " AND ".join(filter(None, [f"source_run_id = '{run.info.run_id}'", condition]))
    oldest_first = [{"field_name": "creation_timestamp", "ascending": True}]
    token: str | None = None
    while True:
        page = throttle.call(
            "",
            lambda token=token: client.search_logged_models(  # type: ignore[misc]
                [experiment], query, order_by=oldest_first, page_token=token
            ),
        )
        yield from page
        token = page.token
        if not token:
            return


@dataclass(frozen=True)
class _Serialized:
    content: bytes
    sha256: str
    trusted: list[str] | None


class _Files:
    """Writes the files of children; what all of them share is made by MLflow once.

    Parameters
    ----------
    model
        The trained bundle.
    environment
        The code and packages that go with each child.
    """

    def __init__(self, model: MetaModel, environment: Environment) -> None:
        self._skops = SkopsCodec() if model.manifest.codec == "skops" else None
        self._pickle = get_codec("cloudpickle")
        self._template, self._environment = _template(model, environment, skops=self._skops is not None)
        self._digest = model.bundle.digest

    def serialized(self, child: Any) -> _Serialized:
        """Serialize a child as MLflow's sklearn flavor reads it."""
        content = (self._skops or self._pickle).dumps(child)
        trusted = self._skops.types_to_trust(child) if self._skops else None
        return _Serialized(content, hashlib.sha256(content).hexdigest(), trusted)

    def written(self, directory: Path, child: _Serialized, logged: Logged, run_id: str, group: Group) -> list[Path]:
        """Write the files of one child; MLmodel is the last of them."""
        described = copy.copy(self._template)
        described.flavors = copy.deepcopy(self._template.flavors)
        described.flavors["sklearn"]["skops_trusted_types"] = child.trusted
        described.model_id, described.run_id, described.artifact_path = logged.id, run_id, logged.place
        described.model_size_bytes = len(child.content) + len(self._environment)
        described.metadata = {"metamodel": {"group": [str(value) for value in group.key], "bundle": self._digest}}
        contents = {
            described.flavors["sklearn"]["pickled_model"]: child.content,
            _ENVIRONMENT: self._environment,
            MLMODEL: described.to_yaml().encode(),
        }
        for name, content in contents.items():
            (directory / name).write_bytes(content)
        return [directory / name for name in contents]


def _template(model: MetaModel, environment: Environment, *, skops: bool) -> tuple[Model, bytes]:
    """Let MLflow describe one child: (its MLmodel, its environment)."""
    from sklearn.dummy import DummyRegressor

    packages = environment.requirements(model.manifest)
    with temporary_directory("log") as directory:
        path = directory / "model"
        mlflow.sklearn.save_model(
            DummyRegressor(),
            str(path),
            signature=child_signature(model.manifest),
            serialization_format="skops" if skops else "cloudpickle",
            skops_trusted_types=["sklearn.dummy.DummyRegressor"] if skops else None,
            pip_requirements=packages,
        )
        described = Model.load(str(path))
        python_env = yaml.safe_load((path / _ENVIRONMENT).read_text(encoding="utf-8"))
    described.flavors["python_function"]["env"] = {"virtualenv": _ENVIRONMENT}
    if environment.code_paths:
        for flavor in ("sklearn", "python_function"):
            described.flavors[flavor]["code"] = CODE_DIR
    return described, yaml.safe_dump({**python_env, "dependencies": packages}, sort_keys=False).encode()
