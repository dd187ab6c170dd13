from pathlib import Path

import pandas as pd
import pytest
from monitored import SECOND, THIRD, weeks

import metamodel
from metamodel.monitoring.monitoring_result import Monitoring


def test_a_window_is_compared_with_the_one_before_or_with_one_that_was_pinned(
    model: metamodel.MetaModel, good: pd.DataFrame, tmp_path: Path
) -> None:
    moved = [
        weeks(1, 60 + i, start=start).assign(price=lambda t: t["price"] + 4) for i, start in enumerate([SECOND, THIRD])
    ]
    metamodel.monitor(model, weeks(1, 59), baseline=good, output=tmp_path)
    metamodel.acknowledge(tmp_path, baseline="spring", by="ann")
    assert metamodel.monitor(model, moved[0], baseline=good, output=tmp_path).has_incident
    # The bins are those of the reference; a name among the baselines chooses which counts stand in them.
    state = {"previous": False, "spring": True}
    for baseline, expected in state.items():
        result = _against(model, moved[1], good, baseline, tmp_path)
        assert bool(result.columns.set_index("column").loc["price", "changed"] > 3) == expected


def _against(
    model: metamodel.MetaModel, table: pd.DataFrame, good: pd.DataFrame, baseline: str, folder: Path
) -> Monitoring:
    """Compare with a window by name, where the bins are those of rows at hand."""
    from metamodel.monitoring import monitor as module

    of_rows = module.reference_for(model, good)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "reference_for", lambda *_: of_rows)
        return metamodel.monitor(model, table, baseline=baseline, output=folder)
