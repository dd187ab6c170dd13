"""Every group has one number and one task, and a worker is told by number what it has to know."""

import math

import pytest
from engine_jobs import job_of
from hypothesis import given
from hypothesis import strategies as st

from metamodel.fitting.tuning import Found
from metamodel.training.engines.phases import Phase
from metamodel.training.engines.spark.placement import Placement

SIZES = {("a", 1): 10, ("b", 2): 500, ("a",): 10, (): 520}


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 3), st.sampled_from([math.inf, 1e12]))
def test_numbers_go_on_from_task_to_task_and_every_group_has_one(rows: list[int], parallelism: int, end: float) -> None:
    sizes = {(i,): n for i, n in enumerate(rows)}
    placement = Placement.of(Phase(sizes, {}, end), parallelism)
    assert sorted(placement.keys) == sorted(sizes)
    assert [placement.seats[key].group for key in placement.keys] == list(range(len(sizes)))
    tasks = [placement.seats[key].task for key in placement.keys]
    assert tasks == sorted(tasks)
    assert set(tasks) == set(range(placement.tasks))
    assert [len(costs) for costs in placement.costs] == [tasks.count(task) for task in range(placement.tasks)]


def test_small_groups_share_a_task_unless_each_is_searched_for_parameters() -> None:
    phase = Phase({(i,): 30 for i in range(12)}, {}, math.inf)
    assert Placement.of(phase, 2).tasks == 2  # each of them costs as much as 230 rows, and a task at least 1,000
    assert Placement.of(phase, 1).tasks == 3
    assert Placement.of(phase, 2, searched=True).tasks == 12
    assert Placement.of(phase, 5).tasks == 5


def test_a_groups_search_starts_from_what_its_nearest_parent_found() -> None:
    first = {("a",): Found({"ridge": {"alpha": 2.0}})}
    placement = Placement.of(Phase(SIZES, first, math.inf), 2)
    searches = placement.searches()
    assert searches.first == {placement.seats["a", 1].group: first["a",]}
    assert (list(searches.costs), searches.end) == ([], math.inf)


def test_where_time_is_short_tasks_know_what_lies_before_them() -> None:
    placement = Placement.of(Phase(SIZES, {}, 1e12), 2)
    assert (placement.searches().costs, placement.searches().end) == (placement.costs, 1e12)


@pytest.fixture
def spec(tmp_path):  # type: ignore[no-untyped-def]
    return job_of(tmp_path).plan.spec


def test_overrides_are_told_by_number_and_those_of_other_phases_not_at_all(spec) -> None:  # type: ignore[no-untyped-def]
    placement = Placement.of(Phase({("a", 1): 10, ("b", 2): 500}, {}, math.inf), 1)
    assert placement.numbered({("a", 1): spec, ("c", 3): spec}) == {(placement.seats["a", 1].group,): spec}
