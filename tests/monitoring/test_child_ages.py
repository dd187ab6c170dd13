"""How old children are at a window, with dates and without."""

import numpy as np
import pytest
from monitored import weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.exceptions import InputError
from metamodel.monitoring.child_ages import child_ages

DAY = 86_400_000_000


@pytest.mark.parametrize(("window", "days"), [("2026-03-02", 7), ("2026-03-02T120000", 7.5), ("2026-02-23", 0)])
def test_with_dates_age_counts_from_the_newest_row(model: metamodel.MetaModel, window: str, days: float) -> None:
    ages = child_ages(model, ['["DE",3]', '["DE",12]'], window)
    assert ages[0] == days * DAY
    assert np.isnan(ages[1])


def test_where_the_window_has_no_date_age_counts_from_the_fit(model: metamodel.MetaModel) -> None:
    assert 0 < child_ages(model, ['["DE",3]'], "000001-ab12cd34")[0] < DAY


def test_groups_with_old_children_come_last_and_only_where_they_have_rows(
    model: metamodel.MetaModel, reference: ModelReference
) -> None:
    table = weeks(1, 3).query("shop != 5")
    old = metamodel.monitor(model, table, baseline=reference, max_age="6d", budget=0.0).retrain
    assert set(old["reasons"]) == {"age"}
    assert set(old["priority"]) == {5}
    assert len(old) == 11
    assert set(old["evidence"]) == {-7.0}
    young = metamodel.monitor(model, table, baseline=reference, max_age="1w", budget=0.0)
    assert not len(young.retrain)
    with pytest.raises(InputError, match=r"^max_age='soon' is no length of time"):
        metamodel.monitor(model, table, baseline=reference, max_age="soon")
