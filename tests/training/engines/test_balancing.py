"""Groups are shared out over tasks by size, each to one task."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metamodel.training.engines.balancing import balance, group_cost, merge_neighbors

SIZES = st.lists(st.integers(1, 5000), max_size=60)


@given(SIZES, st.integers(1, 4), st.booleans())
def test_every_group_is_in_one_task_the_largest_first(sizes, parallelism, once):
    shares = balance(sizes, parallelism, once=once)
    assert sorted(i for share in shares for i in share) == list(range(len(sizes)))
    assert all(share for share in shares)
    assert all(sizes[a] >= sizes[b] for share in shares for a, b in pairwise(share))


@given(SIZES, st.integers(1, 4))
def test_no_task_costs_more_than_a_fair_share_and_one_group(sizes, parallelism):
    shares = balance(sizes, parallelism, once=True)
    costs = [sum(group_cost(sizes[i]) for i in share) for share in shares]
    largest = max(map(group_cost, sizes), default=0.0)
    assert all(cost <= sum(costs) / len(costs) + largest for cost in costs)


def test_where_time_is_short_there_are_as_many_tasks_as_run_at_a_time():
    assert (len(balance([10] * 100, 3, once=True)), len(balance([10] * 100, 3))) == (3, 24)


@given(SIZES, st.integers(1, 4))
def test_tasks_that_cost_least_are_as_many_as_run_at_a_time_or_worth_their_beginning(sizes, parallelism):
    shares = balance(sizes, parallelism, least=1000.0)
    assert sorted(i for share in shares for i in share) == list(range(len(sizes)))
    assert min(len(sizes), parallelism) <= len(shares) <= len(balance(sizes, parallelism))
    worth = sum(min(group_cost(rows), 1000.0) for rows in sizes)  # a group fills no more than one task
    assert len(shares) <= parallelism or worth > 1000 * (len(shares) - 1)
    assert len(shares) % parallelism == 0 or len(shares) == len(balance(sizes, parallelism))


def test_small_groups_fill_tasks_together_and_large_ones_have_their_own():
    sizes = [20_000, 3000, *[50] * 12]  # of the twelve, four cost as much as a task has to
    assert [len(share) for share in balance(sizes, 2, least=1000.0)] == [1, 1, 6, 6]
    assert len(balance(sizes, 2)) == 14


@given(SIZES, st.integers(1, 80))
def test_merged_tasks_have_the_same_groups_in_the_same_order_and_no_two_neighbours_fit_in_one(sizes, groups):
    shares = balance(sizes, 1)
    tasks = merge_neighbors(shares, groups)
    assert [i for task in tasks for i in task] == [i for share in shares for i in share]
    assert max(map(len, tasks), default=0) <= max([groups, *map(len, shares)])
    assert all(len(a) + len(b) > groups for a, b in pairwise(tasks))
