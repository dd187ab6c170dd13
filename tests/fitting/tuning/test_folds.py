"""Which rows trials are scored on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from searches import group_of

from metamodel.fitting.tuning import validation_folds
from metamodel.fitting.tuning.folds import halves
from metamodel.tables.split_groups import SplitGroups

pytestmark = pytest.mark.tableless


def test_validation_rows_are_later_than_those_that_are_fitted():
    group = group_of(times=True)
    folds = validation_folds(group)
    assert len(folds) == 5
    assert all(group.times[train].max() < group.times[test].min() for train, test in folds)
    assert not np.logical_and.reduce([test for _, test in folds]).any()


def test_every_row_validates_once_without_times():
    folds = validation_folds(group_of(rows=200))
    assert all((train != test).all() for train, test in folds)
    assert (sum(test.astype(int) for _, test in folds) == 1).all()


@pytest.mark.parametrize("times", [False, True])
def test_many_rows_are_validated_once(times):
    ((train, test),) = validation_folds(group_of(rows=5000, times=times))
    assert not (train & test).any()
    assert 0.05 < test.mean() < 0.3


@pytest.mark.parametrize("rows", [200, 6000])
def test_rows_that_belong_together_are_fitted_or_validated_together(rows):
    machines = pd.DataFrame({"machine": np.arange(rows) % 60})
    group = replace(group_of(rows=rows), split_groups=SplitGroups.of(machines, "machine", random_state=0))
    folds = validation_folds(group)
    sides = [(group.take(train), group.take(test)) for train, test in folds]
    sides += [tuple(parts) for _, test in sides if (parts := halves(test))]
    assert len(sides) >= 2
    for one, other in sides:
        assert not set(one.split_groups.values) & set(other.split_groups.values)
