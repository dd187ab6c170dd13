import math
import pickle
import time

import pytest

from metamodel.fitting.tuning import Found
from metamodel.training.engines.spark.searches import Searches


def test_a_task_knows_its_own_groups_by_the_number_of_the_first() -> None:
    searches = Searches({1: Found({"ridge": {"alpha": 2.0}}, 9.0)}, [[200.0, 100.0], [300.0]], end=1e12)
    pace = searches.pace(0)
    first, second = (searches.of(number, pace, "") for number in (0, 1))
    assert (first.first, second.first, second.first_latest) == ({}, {"ridge": {"alpha": 2.0}}, 9.0)
    assert searches.of(2, searches.pace(2), "too much").refusal == "too much"


def test_on_a_machine_that_started_at_another_time_the_end_is_the_same_moment(monkeypatch) -> None:
    sent, forever = (pickle.dumps(Searches(end=end)) for end in (time.monotonic() + 100, math.inf))
    elsewhere = time.monotonic() + 1e6
    monkeypatch.setattr(time, "monotonic", lambda: elsewhere)
    assert pickle.loads(sent).end == pytest.approx(elsewhere + 100, abs=60)  # less what the test has taken so far
    assert pickle.loads(forever).end == math.inf
