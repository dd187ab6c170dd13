"""Two bundles of the same training: the same bytes, but for what tells when it was."""

import hashlib
import json
from pathlib import Path

import pandas as pd

__all__ = ["assert_same"]

OF_THE_CLOCK = ["seconds", "trained_at"]


def assert_same(one: Path, other: Path) -> None:
    """Insist on the same bytes in all files but those that tell when it was, and there on all else."""
    digests = [
        {path.relative_to(bundle): hashlib.sha256(path.read_bytes()).hexdigest() for path in bundle.rglob("*.*")}
        for bundle in (one, other)
    ]
    differing = {str(path) for path in digests[0].keys() | digests[1] if digests[0].get(path) != digests[1].get(path)}
    assert differing <= {"ledger.parquet", "manifest.json", "manifest.sha256"}
    ledgers = [pd.read_parquet(bundle / "ledger.parquet").drop(columns=[*OF_THE_CLOCK]) for bundle in (one, other)]
    pd.testing.assert_frame_equal(*ledgers, check_exact=True)
    manifests = [json.loads((bundle / "manifest.json").read_text()) for bundle in (one, other)]
    for manifest in manifests:
        del manifest["created"], manifest["files"]["ledger.parquet"]
    assert manifests[0] == manifests[1]
