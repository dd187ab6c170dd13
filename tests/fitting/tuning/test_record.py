"""The record of a search, whatever ended it."""

import threading
from dataclasses import replace

import pytest
from children import FailsOnAll, Spins
from searches import group_of, spec_of
from threadpoolctl import threadpool_limits

from metamodel.fitting.fit import fit_group
from metamodel.fitting.tuning import Search, require_optuna

pytestmark = pytest.mark.tableless


@pytest.fixture(autouse=True)
def _one_thread():
    """Several threads wait for one another longer than these small fits take."""
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("limit", [None, 100.0])
def test_group_that_fails_after_its_search_keeps_its_record(limit):
    spec = replace(spec_of(FailsOnAll(), {"level": [0.25]}, trials=1), group_seconds=limit)
    outcome = fit_group(group_of(), spec, Search())
    assert (outcome.status, outcome.error) == ("failed", "ValueError: too many rows")
    (row,) = outcome.tuning
    assert (row["chosen"], row["trials"], row["reason"]) == (False, 1, "")
    assert 0 < row["seconds"] < outcome.seconds


def test_time_limit_that_ends_a_search_leaves_its_record():
    spec = replace(spec_of(Spins(), {"spinning": [True]}), group_seconds=6.0)  # time enough to begin the trial
    outcomes = []
    require_optuna()  # its import takes longer than the limit on a busy machine
    # Outside the main thread no alarm ends a trial.
    thread = threading.Thread(target=lambda: outcomes.append(fit_group(group_of(), spec)))
    thread.start()
    thread.join()
    (outcome,) = outcomes
    assert (outcome.status, outcome.reason) == ("failed", "time_limit: 6 s")
    (row,) = outcome.tuning
    assert (row["chosen"], row["trials"], row["reason"]) == (False, 1, "the group's time limit")
    assert row["untuned_score"] > 0
