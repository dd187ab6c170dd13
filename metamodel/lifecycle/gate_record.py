"""Tell MLflow what came of a gate: two files in the candidate's run, two tags, and what promotion asks of them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from metamodel.exceptions import InputError
from metamodel.flavor.registered import Named
from metamodel.tracking.registry_writes import set_version_tag

__all__ = ["DIGEST_TAG", "VERDICT_TAG", "check_gate", "record_gate"]

VERDICT_TAG = "metamodel.gate"

DIGEST_TAG = "metamodel.gate_digest"


def record_gate(candidate: Named, passed: bool, digest: str, files: Mapping[str, str]) -> None:
    """Log the report into the candidate's run, and tag run and version with the verdict last of all.

    A verdict that stood there before is taken away first: interrupted anywhere, no version is said to have passed a
    gate whose report is another one.

    Parameters
    ----------
    candidate
        Whose gate it was; of what MLflow does not know nothing is logged.
    passed, digest
        The verdict, and the sha256 of `gate.json`.
    files
        Name → text.
    """
    if not (candidate.run_id or candidate.version):
        return  # or opening the store would make one where there is none
    client = MlflowClient()
    if candidate.version and VERDICT_TAG in client.get_model_version(candidate.name, candidate.version).tags:
        client.delete_model_version_tag(candidate.name, candidate.version, VERDICT_TAG)
    if candidate.run_id:
        for name, text in files.items():
            client.log_text(candidate.run_id, text, name)
    tags = {DIGEST_TAG: digest, VERDICT_TAG: "passed" if passed else "failed"}
    for name, value in tags.items():
        if candidate.run_id:
            client.set_tag(candidate.run_id, name, value)
        if candidate.version:
            set_version_tag(candidate.name, candidate.version, name, value)


def check_gate(version: ModelVersion, champion: str | None) -> str:
    """Insist on a gate that a version has passed against what the alias points at now.

    Parameters
    ----------
    version
        The version to be promoted.
    champion
        Number of the version that it shall replace; None where there is none.

    Returns
    -------
    str
        Digest of the gate's report.

    Raises
    ------
    InputError
        There was no gate, it failed, its report is another one, or it looked at another champion.
    """
    name, digest = f"{version.name} {version.version}", version.tags.get(DIGEST_TAG, "")
    remedy = f"Run: metamodel gate models:/{version.name}/{version.version} --against ... --data ..."
    verdict = version.tags.get(VERDICT_TAG)
    if verdict is None:
        raise InputError(f"{name} has passed no gate. {remedy}")
    if verdict != "passed":
        raise InputError(f"{name} has failed its gate; gate.html in run {version.run_id} says where. {remedy}")
    report = _report(version)
    if hashlib.sha256(report.encode()).hexdigest() != digest:
        raise InputError(f"{name} has passed a gate, but gate.json in run {version.run_id} is another report. {remedy}")
    judged: dict[str, Any] = json.loads(report)["against"] or {}
    if champion is not None and (judged.get("name"), judged.get("version")) != (version.name, champion):
        whom = f"{judged['name']} {judged['version']}" if judged.get("version") else judged.get("uri", "no champion")
        raise InputError(
            f"{name} has passed a gate against {whom}, but the alias points at version {champion} now. {remedy}"
        )
    return digest


def _report(version: ModelVersion) -> str:
    try:
        return str(mlflow.artifacts.load_text(f"runs:/{version.run_id}/gate.json"))
    except (MlflowException, OSError) as error:
        raise InputError(
            f"The gate's report of {version.name} {version.version} cannot be read from run {version.run_id} "
            f"({type(error).__name__}). Run metamodel gate again."
        ) from error
