"""What a training leaves behind."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.display import preformatted, result_line, summary_text
from metamodel.bundle.manifest import Manifest
from metamodel.tables.checks import Finding

__all__ = ["TrainingResult"]


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves behind; `print` shows the summary.

    Attributes
    ----------
    ledger
        DataFrame, one row for every group and level.
    summary
        Counts of groups and rows, and the aggregates of every metric over the groups.
    bundle_path
        The bundle's directory.
    manifest
        What the bundle says of itself.
    data
        The training table, as it was given; of a Spark table its first rows.
    source
        Where the table came from, for the run's dataset.
    holdout
        DataFrame, one row for every held-out row of every child, with what the child and its parents predicted for
        it before they had seen it; see docs/report.md.
    importance
        DataFrame, how much each feature counts for each group; see docs/report.md.
    findings
        What the data checks found; see `metamodel.tables.checks.Finding`.
    tuning
        DataFrame, one row for every group and candidate whose parameters were searched; without tuning, no rows.
    config
        The options that were given or taken by default, as far as a file can hold them; see docs/options.md.
    """

    ledger: pd.DataFrame
    summary: dict[str, Any]
    bundle_path: Path
    manifest: Manifest
    data: pd.DataFrame
    source: str
    holdout: pd.DataFrame
    importance: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    config: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return result_line(self.summary, self.manifest, self.bundle_path)

    def __str__(self) -> str:
        return summary_text(self.summary)

    def _repr_html_(self) -> str:
        return preformatted(str(self))
