"""The rule "changed" finds the groups whose rows are others, whichever engine saw them before and sees them now."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from weekly_panel import panel

import metamodel

pytestmark = pytest.mark.spark

OPTIONS: dict[str, Any] = {
    "features": ["price", "promotion", "label"],
    "time_column": "week",
    "unknown": "fallback",
    "pooled": False,
    "prune": False,
}


def table(path: Path, changed: float) -> str:
    frame = panel(range(4), weeks=20).assign(label=lambda rows: rows["country"].str.lower())
    frame.loc[7, "promotion"] = changed  # of shop 0, in DE
    frame.loc[25, "label"] = None
    frame.loc[30, "price"] = None
    frame.to_parquet(path, coerce_timestamps="us")
    return str(path)


@pytest.mark.parametrize("engines", [("local", "spark"), ("spark", "local")])
def test_only_groups_with_other_rows_are_fitted_again(spark: Any, tmp_path: Path, engines: tuple[str, str]) -> None:
    paths = [table(tmp_path / f"{i}.parquet", changed) for i, changed in enumerate((0.0, 0.0, 0.5))]
    readers = {"local": str, "spark": spark.read.parquet}
    then, now = engines
    first = metamodel.train(
        readers[then](paths[0]), ["country", "shop"], "sales", "decision_tree", engine=then, n_jobs=1, **OPTIONS
    )
    same, other = (
        metamodel.update(first.bundle_path, readers[now](path), retrain="changed", engine=now) for path in paths[1:]
    )
    assert same.summary["groups_retrained"] == 0
    changed = other.ledger[other.ledger["retrain_reason"] == "changed: other rows"]
    assert changed["level"].tolist() == [2, 1, 0]
    assert (changed["country"].tolist()[:2], changed["shop"].tolist()[:1]) == (["DE", "DE"], [0])
    assert set(changed["status"]) == {"fitted"}
    carried = other.ledger.drop(index=changed.index)
    before = first.ledger.drop(index=changed.index)
    pd.testing.assert_series_equal(carried["sha256"], before["sha256"])
