"""Which groups are retrained, by plain facts, and in which words."""

import pytest

from metamodel.exceptions import InputError
from metamodel.training.carrying.rules import RULES, Earlier, Present, Rules, why_retrain

WEEK = 7 * 24 * 3_600_000_000


def why(rules: Rules, earlier: Earlier | None, present: Present | None = None) -> str:
    return why_retrain("[1]", rules, earlier, present or Present(100))


def asked(*names: str, max_age: object = None, min_new_rows: object = None, **facts: object) -> Rules:
    rules = Rules.checked(names, max_age, min_new_rows)
    return Rules(**{**vars(rules), **facts})


@pytest.mark.parametrize(
    ("names", "earlier", "reason"),
    [
        (("new",), None, "new"),
        (("new",), Earlier(False), "new"),
        (("new",), Earlier(False, failed=True), ""),
        (("failed",), Earlier(False, failed=True), "failed"),
        (("failed",), Earlier(True, failed=True), "failed"),
        (("failed",), None, ""),
        (("all",), Earlier(True), "all"),
        (("new",), Earlier(True), ""),
        (("new",), Earlier(False, damaged=True), "damaged"),
        (("changed",), Earlier(True, fingerprint="other"), "changed: other rows"),
        (("changed",), Earlier(True, fingerprint=""), ""),
    ],
)
def test_a_rule_names_the_groups_that_it_is_for(names: tuple[str, ...], earlier: Earlier | None, reason: str) -> None:
    assert why(asked(*names), earlier) == reason


def test_another_spec_changes_every_group() -> None:
    assert why(asked("changed", other_spec=True), Earlier(True)) == "changed: trained otherwise"


def test_a_listed_group_is_retrained_for_the_reason_of_the_list_whatever_the_rules() -> None:
    assert why(asked("new", listed={"[1]": "drift"}), Earlier(True)) == "drift"


@pytest.mark.parametrize(("weeks", "reason"), [(8, ""), (9, "stale: 9 weeks")])
def test_age_is_counted_in_the_tables_own_time_where_it_has_one(weeks: int, reason: str) -> None:
    rules = asked("stale", max_age="8w", dated=True, now=10**18)
    earlier = Earlier(True, through=5 * WEEK, trained_at=0)
    assert why(rules, earlier, Present(100, newest=(5 + weeks) * WEEK)) == reason


@pytest.mark.parametrize(("now", "reason"), [(8, ""), (10, "stale: 10 weeks")])
def test_without_such_a_time_age_is_counted_from_the_day_of_the_training(now: int, reason: str) -> None:
    assert why(asked("stale", max_age="8w", now=now * WEEK), Earlier(True, trained_at=0)) == reason


@pytest.mark.parametrize(
    ("limit", "present", "reason"),
    [
        (0.2, Present(120), ""),
        (0.2, Present(131), "rows: +31 %"),
        (0.2, Present(100, fresh=31), "rows: +31 %"),
        (30, Present(130), ""),
        (30, Present(131), "rows: +31"),
    ],
)
def test_new_rows_are_counted_as_a_share_or_a_number(limit: float, present: Present, reason: str) -> None:
    assert why(asked("stale", min_new_rows=limit), Earlier(True, rows_seen=100), present) == reason


def test_a_group_without_a_child_is_never_stale() -> None:
    rules = asked("stale", min_new_rows=1)
    assert why(rules, Earlier(False), Present(1000)) == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("old",), rf"retrain names 'old'. Use some of: {', '.join(RULES)}"),
        ((), "retrain names no rule"),
        (7, "retrain=7 names no rule"),
    ],
)
def test_a_rule_that_there_is_not_is_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Rules.checked(given, None, None)


@pytest.mark.parametrize("limit", [0, -1, True, "many", float("nan")])
def test_a_number_of_rows_that_is_none_is_refused(limit: object) -> None:
    with pytest.raises(InputError, match=r"min_new_rows=.* is no number of rows"):
        Rules.checked("stale", None, limit)


def test_a_limit_that_no_rule_goes_by_is_refused() -> None:
    with pytest.raises(InputError, match=r"max_age='8w' says when a group is stale. Add \"stale\" to retrain"):
        Rules.checked("new,failed", "8w", None)
