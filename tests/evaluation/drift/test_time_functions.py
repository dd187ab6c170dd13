"""Functions of time alone are found, and of rows in parts those that are found in all rows at once."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.drift import time_functions
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.time_functions import TimeFunctions, functions_of_time

pytestmark = pytest.mark.tableless

WEEKS = DriftColumns.of({"week": [1, 1, 2, 2], "price": [1, 2, 3, 3], "rate": [1, 1, 1, 1], "gap": [None] * 4})
TIMES = np.array([1.0, 1.0, 2.0, 2.0])


def of_rows(rows: list[int]) -> TimeFunctions | None:
    return TimeFunctions.of(WEEKS.take(np.array(rows, dtype=np.int64)), TIMES[rows])


def told(part: TimeFunctions | None) -> object:
    return None if part is None else part.to_dict()


def test_a_column_that_varies_within_a_moment_is_no_function_of_time() -> None:
    assert functions_of_time(WEEKS, TIMES) == {"week"}


@pytest.mark.parametrize(
    "parts", [[[0, 1, 2], [3]], [[3], [0, 1, 2]], [[0, 1], [2, 3]], [[0], [1], [2], [3]], [[0, 2], [1, 3], []]]
)
def test_a_part_without_two_rows_of_one_time_unsays_nothing_that_others_know(parts: list[list[int]]) -> None:
    together = TimeFunctions.together(of_rows(rows) for rows in parts)
    assert together is not None
    assert together.names == {"week"}


def test_two_rows_of_one_time_in_different_parts_say_of_a_column_that_it_is_none() -> None:
    columns, times = DriftColumns.of({"price": [1, 2, 3, 4]}), np.array([1.0, 2.0, 1.0, 2.0])
    parts = [TimeFunctions.of(columns.take(np.array(rows)), times[rows]) for rows in ([0, 1], [2, 3])]
    together = TimeFunctions.together(parts)
    assert together is not None
    assert (together.names, together.repeated) == (frozenset(), True)


VALUES = st.sampled_from([0.0, -0.0, 1.0, float("nan")])


@given(
    rows=st.lists(st.tuples(st.sampled_from([1.0, 2.0, 5.0, float("nan")]), VALUES, VALUES, st.integers(0, 3))),
    order=st.permutations(range(4)),
)
def test_parts_in_any_order_say_what_all_rows_say_at_once(rows: list[tuple[float, ...]], order: list[int]) -> None:
    times, *values, part_of = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    columns = DriftColumns(dict(zip("xy", values, strict=True)))
    parts = [TimeFunctions.of(columns.take(part_of == part), times[part_of == part]) for part in order]
    whole = TimeFunctions.of(columns, times)
    assert told(TimeFunctions.together(parts)) == told(whole)
    assert told(TimeFunctions.together([*parts[:2], TimeFunctions.together(parts[2:])])) == told(whole)
    assert whole is not None
    assert whole.names == (functions_of_time(columns, times) or frozenset())


def test_of_more_times_than_are_kept_nothing_is_said_in_whatever_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_functions, "_MOST_TIMES", 2)
    columns, times = DriftColumns.of({"week": [1, 1, 2, 2, 3, 3]}), np.repeat([1.0, 2.0, 3.0], 2)
    parts = [TimeFunctions.of(columns.take(np.arange(*ends)), times[slice(*ends)]) for ends in ((0, 4), (2, 6))]
    assert all(part is not None and part.names == {"week"} for part in parts)
    assert TimeFunctions.of(columns, times) is None
    assert TimeFunctions.together(parts) is None
    assert TimeFunctions.together([None, parts[0]]) is None


def test_it_is_the_same_after_a_file() -> None:
    whole = of_rows([0, 1, 2, 3])
    assert whole is not None
    assert told(TimeFunctions.from_dict(json.loads(json.dumps(whole.to_dict())))) == told(whole)
    assert set(whole.to_dict()["values"]) == {"week", "rate", "gap"}
