"""A new child and the one before answer the same fresh rows, which neither has seen."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from metamodel.evaluation.splits import split_hashes
from metamodel.fitting.challenge import fresh_folds, judge_incumbent, unseen_folds
from metamodel.fitting.group import GroupData
from metamodel.fitting.spec import Candidate, FitSpec
from metamodel.fitting.warm_start import EarlierChild
from metamodel.fitting.warm_start import Seen as WhatItSaw

LINE = Candidate("line", LinearRegression(), "LinearRegression", "{}")
SPEC = FitSpec("regression", (LINE,))


class Seen(LinearRegression):
    """Notes the latest row that it was fitted on, and those it was asked for."""

    log: ClassVar[list[tuple[str, float, float]]] = []

    def fit(self, X: Any, y: Any) -> Any:
        Seen.log.append(("fit", X[:, 1].min(), X[:, 1].max()))
        return super().fit(X, y)

    def predict(self, X: Any) -> Any:
        Seen.log.append(("predict", X[:, 1].min(), X[:, 1].max()))
        return super().predict(X)


def group(slope_after: float = 1.0, rows: int = 60, fresh: int = 12) -> GroupData:
    rng = np.random.default_rng(0)
    times = np.arange(rows)
    x = np.column_stack([rng.normal(size=rows), times.astype(float)])
    slope = np.where(times < rows - fresh, 1.0, slope_after)
    y = x[:, 0] * slope + rng.normal(size=rows) * 0.1
    hashes = np.arange(rows, dtype=np.uint64)
    return GroupData(("a",), x, y, split_hashes(hashes, None), times)


def incumbent(data: GroupData, through: int, seen: WhatItSaw | None = None) -> EarlierChild:
    old = data.take(data.x[:, 1] <= through)
    child = LinearRegression().fit(old.x, old.y)
    return EarlierChild(lambda: child, seen=through if seen is None else seen)


def test_a_group_that_changed_gains_by_the_new_child_and_one_that_did_not_by_none() -> None:
    changed, same = (judge_incumbent(LINE, g, incumbent(g, 35), SPEC) for g in (group(-3.0, fresh=24), group(fresh=24)))
    assert changed["fresh_rows"] == same["fresh_rows"] == 24
    assert changed["gain"] > same["gain"]
    assert changed["p_value_incumbent"] < 0.05 < same["p_value_incumbent"]


def test_every_answer_is_of_a_child_that_was_fitted_before_that_row() -> None:
    data = group()
    Seen.log = []
    judge_incumbent(Candidate("seen", Seen(), "Seen", "{}"), data, incumbent(data, 47), SPEC)
    fits = [(low, high) for what, low, high in Seen.log if what == "fit"]
    asked = [(low, high) for what, low, high in Seen.log if what == "predict"]
    assert [high for _, high in fits] == [47, 50, 53, 56]
    assert asked == [(48, 50), (51, 53), (54, 56), (57, 59)]


class Answering(LinearRegression):
    """Notes what it was fitted to, whenever it is asked."""

    log: ClassVar[list[bytes]] = []

    def predict(self, X: Any) -> Any:
        Answering.log.append(self.coef_.tobytes())
        return super().predict(X)


def asked_children(data: GroupData, through: int) -> list[bytes]:
    """Judge a group's children; gives the new ones in the order of their origins."""
    Answering.log = []
    judge_incumbent(Candidate("noting", Answering(), "Answering", "{}"), data, incumbent(data, through), SPEC)
    return Answering.log


@pytest.mark.parametrize(("origin", "before"), [(47, 1), (50, 2), (53, 3), (56, 4)])
def test_fresh_targets_never_move_what_was_fitted_before_them(origin: int, before: int) -> None:
    data, through = group(), 47
    other = replace(data, y=np.where(data.times > origin, -data.y * 7, data.y))
    assert incumbent(data, through).load().coef_.tobytes() == incumbent(other, through).load().coef_.tobytes()
    told, changed = asked_children(data, through), asked_children(other, through)
    assert [one == two for one, two in zip(told, changed, strict=True)] == [i < before for i in range(4)]


@pytest.mark.parametrize(("through", "folds"), [(59, 0), (58, 1), (57, 2), (40, 4), (-1, 0)])
def test_fresh_rows_make_at_most_four_blocks_and_none_without_rows_to_train_on(through: int, folds: int) -> None:
    assert len(fresh_folds(np.arange(60), through)) == folds


def test_without_fresh_rows_there_is_nothing_to_say() -> None:
    data = group()
    assert judge_incumbent(LINE, data, incumbent(data, 59), SPEC) == {}


def test_the_same_recipe_on_the_same_rows_gains_nothing_to_the_last_bit() -> None:
    data = group(fresh=1)
    judged = judge_incumbent(LINE, data, incumbent(data, 58), SPEC)
    assert (judged["fresh_rows"], judged["gain"]) == (1, 0.0)


# --- without a time: rows whose hash is not among those that the old child has seen


def timeless(**given: Any) -> GroupData:
    data = group(**given)
    return replace(data, times=None, contents=np.arange(len(data.y), dtype=np.uint64) * 7)


def remembered(data: GroupData, through: int) -> EarlierChild:
    return incumbent(data, through, seen=np.sort(data.contents[: through + 1]))


def test_without_a_time_every_unseen_row_is_answered_by_what_was_fitted_on_all_others() -> None:
    data = timeless()
    noting = Candidate("seen", Seen(), "Seen", "{}")
    Seen.log = []
    judged = judge_incumbent(noting, data, remembered(data, 47), SPEC)
    assert judged["fresh_rows"] == 12
    assert len([what for what, *_ in Seen.log if what == "fit"]) == 4


def test_without_a_time_a_group_that_changed_gains_and_the_order_of_its_rows_does_not_matter() -> None:
    data = timeless(slope_after=-3.0, fresh=24)
    order = np.random.default_rng(1).permutation(60)
    one, other = (judge_incumbent(LINE, g, remembered(data, 35), SPEC) for g in (data, data.take(order)))
    assert one["gain"] > 0.5
    assert {name: round(value, 9) for name, value in one.items()} == {
        name: round(value, 9) for name, value in other.items()
    }


def test_a_table_whose_rows_the_old_child_has_all_seen_says_nothing() -> None:
    data = timeless()
    assert judge_incumbent(LINE, data, remembered(data, 59), SPEC) == {}
    assert judge_incumbent(LINE, replace(data, contents=None), remembered(data, 40), SPEC) == {}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=40))
def test_every_unseen_row_is_tested_once_and_those_that_belong_together_are_never_on_both_sides(rows: Any) -> None:
    unseen, draws = (np.array(values) for values in zip(*rows, strict=True))
    folds = unseen_folds(unseen, draws.astype(np.uint64))
    if folds:
        assert np.array_equal(np.sum([test for _, test in folds], axis=0), unseen.astype(int))
    for train, test in folds:
        assert not set(draws[unseen & train]) & set(draws[test])
        assert np.array_equal(train, ~test)
    assert len(folds) <= 4
