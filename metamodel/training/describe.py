"""Describe a training in a bundle's manifest: what was trained, on what, with which libraries."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from metamodel.bundle.manifest import Manifest, Target
from metamodel.bundle.writer import library_versions
from metamodel.fitting.estimator_info import packages
from metamodel.fitting.spec import Candidate
from metamodel.training.engines.task import TaskResult
from metamodel.training.plan import Plan

__all__ = ["describe"]

_PACKAGES = ("metamodel", "mlflow", "scikit-learn", "pandas", "numpy", "pyarrow", "joblib", "cloudpickle", "skops")


def describe(plan: Plan, ledger: pd.DataFrame, results: Sequence[TaskResult]) -> Manifest:
    """Say what was trained; the files are entered when they are all written.

    Parameters
    ----------
    plan
        What was asked.
    ledger
        The ledger, without those children that were pruned.
    results
        What the tasks did.
    """
    stored = set(ledger["sha256"])
    resident = sum(row["resident"] for result in results for row in result.ledger if row["sha256"] in stored)
    statuses = ledger["status"].value_counts()
    target = Target(plan.options.target, plan.spec.task, plan.target.label_kind, plan.target.classes)
    return Manifest(
        keys=plan.keys,
        features=plan.features,
        target=target,
        unknown=plan.options.unknown,
        levels=plan.levels,
        codec=plan.options.codec,
        spec_digest=plan.digest,
        options={
            **plan.options.to_dict(),
            "candidates": _candidates(plan.spec.every_candidate),
        },
        counts={
            **{status: int(statuses.get(status, 0)) for status in ("fitted", "carried", "skipped", "failed")},
            "rows": plan.rows,
            "resident_bytes": int(resident),
        },
        versions=library_versions(_PACKAGES),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "estimator": candidate.label,
        "params": candidate.params,
        "packages": packages(candidate.estimator),
        "predict_proba": hasattr(candidate.estimator, "predict_proba"),
    }


def _candidates(candidates: Iterable[Candidate]) -> dict[str, dict[str, Any]]:
    """Describe candidates by their names; an override may fit an estimator of the same name otherwise.

    The first of a name (one of all groups', if there is one) says which parameters it has. What is needed to load and
    ask the children must hold for all of them.
    """
    described: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        own = _candidate(candidate)
        first = described.setdefault(candidate.name, own)
        first["packages"] = sorted({*first["packages"], *own["packages"]})
        first["predict_proba"] = first["predict_proba"] and own["predict_proba"]
    return described
