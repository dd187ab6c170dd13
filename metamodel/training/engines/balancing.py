"""How groups are shared out over tasks: by what they cost, so that no task ends long after the others."""

import heapq
import math
from collections.abc import Sequence

__all__ = ["balance", "group_cost", "merge_neighbors"]

# What a group costs beside its rows, in rows: however small it is, it is cloned, checked and serialized.
_GROUP_COST = 200.0


def group_cost(rows: int) -> float:
    """Tell what a group of so many rows costs, in rows.

    Examples
    --------
    >>> group_cost(1000)
    1200.0
    """
    return rows + _GROUP_COST


def balance(
    sizes: Sequence[int], parallelism: int, *, once: bool = False, groups: int = 500, least: float = 0.0
) -> list[list[int]]:
    """Share groups out over tasks by rows: the largest first, each to the task that has least.

    Parameters
    ----------
    sizes
        Rows of each group.
    parallelism
        How many tasks run at a time.
    once
        As many tasks as run at a time and no more, so that each knows from the start all that it has to do in time.
    groups
        About how many groups a task has at most.
    least
        Groups that cost less share tasks of about this cost or more, as beginning one for each would take longer than
        what it does; but there are as many tasks as run at a time where there are as many groups.

    Returns
    -------
    list of list of int
        Positions in `sizes` for every task, the task with the largest group first.

    Examples
    --------
    >>> balance([5, 1000, 7, 6], parallelism=1)
    [[1], [2], [3], [0]]
    >>> balance([5, 1000, 7, 6], parallelism=1, least=1000.0)
    [[1], [2, 3, 0]]
    """
    number = min(len(sizes), parallelism if once else max(8 * parallelism, len(sizes) // groups))
    worthwhile = math.ceil(sum(min(group_cost(rows), least) for rows in sizes) / least) if least else number
    if worthwhile < number:
        # As many as run at a time, once or several times: all would wait for a few more, where fits are slow.
        number = min(number, max(1, worthwhile // parallelism) * parallelism)
    heap = [(0.0, i) for i in range(number)]
    shares: list[list[int]] = [[] for _ in range(number)]
    for group in sorted(range(len(sizes)), key=lambda group: sizes[group], reverse=True):
        cost, i = heapq.heappop(heap)
        shares[i].append(group)
        heapq.heappush(heap, (cost + group_cost(sizes[group]), i))
    return shares


def merge_neighbors(shares: Sequence[Sequence[int]], groups: int) -> list[list[int]]:
    """Make one task of neighbours, which stay in their order, as long as they have no more groups together.

    Parameters
    ----------
    shares
        Groups of every task.
    groups
        How many groups such a task has at most.

    Examples
    --------
    >>> merge_neighbors([[1], [2], [3, 4, 5], [0]], groups=3)
    [[1, 2], [3, 4, 5], [0]]
    """
    tasks: list[list[int]] = []
    for share in shares:
        if tasks and len(tasks[-1]) + len(share) <= groups:
            tasks[-1].extend(share)
        else:
            tasks.append(list(share))
    return tasks
