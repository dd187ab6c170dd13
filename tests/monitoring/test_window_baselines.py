"""What a window is compared with: the training, windows before, one that a person approved, or rows at hand."""

from pathlib import Path

import pandas as pd
import pytest
from monitored import SECOND, THIRD, weeks

import metamodel
from metamodel.exceptions import InputError


def _moved(seed: int, start: str) -> pd.DataFrame:
    return weeks(1, seed, start=start).assign(price=lambda table: table["price"] + 4)


def _changed_in_price(model: metamodel.MetaModel, table: pd.DataFrame, folder: Path, baseline: str) -> int:
    columns = metamodel.monitor(model, table, baseline=baseline, output=folder).columns.set_index("column")
    return int(columns.loc["price", "changed"])


def test_a_window_is_compared_with_the_one_before_or_with_one_that_was_pinned(
    model: metamodel.MetaModel, tmp_path: Path
) -> None:
    metamodel.monitor(model, weeks(1, 59), output=tmp_path)
    metamodel.acknowledge(tmp_path, baseline="spring", by="ann")
    metamodel.monitor(model, _moved(60, SECOND), output=tmp_path)
    last = _moved(61, THIRD)

    assert _changed_in_price(model, last, tmp_path, "previous") == 0
    for baseline in ("training", "spring"):
        assert _changed_in_price(model, last, tmp_path, baseline) > 6


def test_a_season_is_compared_with_that_of_last_year(model: metamodel.MetaModel, tmp_path: Path) -> None:
    metamodel.monitor(model, _moved(62, "2026-03-02"), window="1w", output=tmp_path)
    later = _moved(63, "2027-03-01")

    assert _changed_in_price(model, later, tmp_path, "last_year") == 0
    assert _changed_in_price(model, later, tmp_path, "training") > 6


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("previous", "There is no window before '2026-03-02' to compare with"),
        ("last_year", "The window of last year .2025-03-03. is not there"),
        ("springs", "There is no baseline 'springs'"),
    ],
)
def test_a_baseline_that_is_not_there_is_named(
    model: metamodel.MetaModel, tmp_path: Path, baseline: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        metamodel.monitor(model, weeks(1, 3), baseline=baseline, output=tmp_path)
