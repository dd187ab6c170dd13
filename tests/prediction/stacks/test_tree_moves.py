"""Trees that move from one program into another name the same nodes and leaves as before."""

from functools import cache
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from metamodel.prediction.stacks.tree_moves import join_trees, starts_of, take_trees
from metamodel.prediction.stacks.tree_reader import tree_form
from metamodel.prediction.stacks.trees import TreeProgram

SIZES = (1, 2, 3, 2, 1)


@cache
def forms() -> list[Any]:
    """Forests of these sizes."""
    rng = np.random.default_rng(0)
    made = []
    for size in SIZES:
        x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
        made.append(
            tree_form(RandomForestRegressor(size, max_depth=2 + size, random_state=size).fit(x, y), 3, "float64")
        )
    return made


def same(one: Any, other: Any) -> bool:
    names = one.keys() == other.keys()
    return names and all(
        np.array_equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


@given(st.lists(st.integers(0, len(SIZES) - 1), min_size=1, unique=True))
def test_taking_some_children_gives_the_program_that_they_alone_would_make(places: list[int]) -> None:
    program = TreeProgram.of(forms(), ())
    alone = TreeProgram.of([forms()[i] for i in places], ())
    assert same(take_trees(program.arrays, np.array(places)), alone.arrays)


@given(st.integers(1, len(SIZES) - 1))
def test_joining_two_programs_gives_the_program_of_all(cut: int) -> None:
    parts = [TreeProgram.of(forms()[:cut], ()), TreeProgram.of(forms()[cut:], ())]
    assert same(join_trees([part.arrays for part in parts]), TreeProgram.of(forms(), ()).arrays)


def test_starts_are_where_parts_begin_and_the_last_one_ends() -> None:
    assert starts_of([3, 0, 2]).tolist() == [0, 3, 3, 5]
