"""The result of a training that ended before: what its bundle says, without the table."""

from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.diagnostics import HOLDOUT_NAME, IMPORTANCE_NAME
from metamodel.bundle.ledger_queries import cells, rows_of_groups
from metamodel.bundle.manifest import Manifest
from metamodel.bundle.reader import Bundle
from metamodel.common.group_status import OUTCOMES, TRAINED
from metamodel.evaluation.metrics import aggregate, metric_names
from metamodel.exceptions import InputError
from metamodel.tables.checks import Finding
from metamodel.training.result import TrainingResult

__all__ = ["result_of_bundle"]


def result_of_bundle(path: str | Path) -> TrainingResult:
    """Open a bundle that training wrote, so that it can be logged.

    Parameters
    ----------
    path
        The bundle's directory.

    Returns
    -------
    TrainingResult
        With an empty table, and the summary as far as the ledger says it.

    Raises
    ------
    UnreadableBundle
        There is no bundle.
    InputError
        The bundle refers to children that no training made.
    """
    bundle = Bundle(path)
    if bundle.references is not None:
        raise InputError(f"{path} refers to children that live elsewhere. Log it with metamodel.reference.")
    tables = (bundle.read_table(name) for name in (HOLDOUT_NAME, IMPORTANCE_NAME))
    holdout, importance = (pd.DataFrame() if table is None else table for table in tables)
    manifest = bundle.manifest
    return TrainingResult(
        ledger=bundle.ledger,
        summary=_summary(bundle.ledger, manifest),
        bundle_path=Path(path),
        manifest=manifest,
        data=pd.DataFrame(),
        source="",
        holdout=holdout,
        importance=importance,
        findings=tuple(Finding(**finding) for finding in manifest.findings or ()),
    )


def _summary(ledger: pd.DataFrame, manifest: Manifest) -> dict[str, Any]:
    children = rows_of_groups(ledger, len(manifest.keys.columns))
    statuses = children["status"].value_counts()
    figures = cells(children, children["status"].isin(TRAINED), metric_names(manifest.target.task))
    return {
        "groups": len(children),
        **{f"groups_{status}": int(statuses.get(status, 0)) for status in OUTCOMES},
        "rows": manifest.counts["rows"],
        "seconds_fitting": float(ledger["seconds"].sum()),
        "model_bytes": int(ledger["bytes"].sum()),
        "data_findings": len(manifest.findings or ()),
        **aggregate(figures, manifest.target.task),
    }
