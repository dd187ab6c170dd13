"""Who keeps the child that it had: by the group's own fresh rows, and by those of all groups."""

import math
from typing import Any

import numpy as np
import pytest

from metamodel.bundle.ledger import LedgerRow
from metamodel.exceptions import InputError
from metamodel.training.carrying.decisions import EVIDENCE, Contests


def row(shop: int, gain: float, error: float = 0.1, p_value: float = 0.5, fresh: int = 12, level: int = 1) -> LedgerRow:
    facts: dict[str, Any] = {"gain": gain, "gain_se": error, "p_value_incumbent": p_value}
    return LedgerRow(f"[{shop}]", level, "fitted", 50, fresh_rows=fresh, **facts)


def decided(contests: Contests, rows: list[LedgerRow]) -> dict[str, str]:
    return {key: one.decision for key, one in contests.decide(rows, {one.key for one in rows}).items()}


@pytest.mark.parametrize("evidence", EVIDENCE)
def test_equal_answers_keep_the_child_but_where_only_a_worse_one_is_kept_out(evidence: str) -> None:
    rows = [row(shop, 0.0, 0.0, p_value=0.5) for shop in range(5)]
    expected = "replaced" if evidence == "worse" else "incumbent_kept"
    assert set(decided(Contests(evidence), rows).values()) == {expected}


def test_pooled_evidence_tells_changed_groups_from_noise() -> None:
    rng = np.random.default_rng(0)
    true = np.where(np.arange(100) < 10, 1.0, -0.05)
    rows = [row(shop, float(true[shop] + rng.normal() * 0.1)) for shop in range(100)]
    said = decided(Contests(), rows)
    replaced = np.array([said[one.key] == "replaced" for one in rows])
    assert replaced[:10].all()
    assert true[replaced].sum() > 0.85 * true[:10].sum()


def test_own_evidence_asks_each_group_for_significance() -> None:
    rows = [row(0, 0.3, p_value=0.04), row(1, 0.3, p_value=0.06), row(2, -0.3, p_value=0.96)]
    assert list(decided(Contests("own"), rows).values()) == ["replaced", "incumbent_kept", "incumbent_kept"]


def test_the_evidence_worse_keeps_only_what_is_significantly_better_than_the_new_child() -> None:
    rows = [row(0, -0.01, p_value=0.6), row(1, -0.2, 0.08, p_value=0.99)]
    assert list(decided(Contests("worse"), rows).values()) == ["replaced", "incumbent_kept"]


@pytest.mark.parametrize("evidence", EVIDENCE)
def test_a_new_child_without_finite_answers_or_clearly_worse_never_replaces(evidence: str) -> None:
    good = [row(shop, 1.0, 0.05, p_value=0.001) for shop in range(50)]
    bad = [row(98, -math.inf, math.nan, p_value=math.nan), row(99, -0.4, 0.1, p_value=0.5)]
    said = decided(Contests(evidence), [*good, *bad])
    assert (said["[98]"], said["[99]"]) == ("incumbent_kept", "incumbent_kept")


def test_groups_without_fresh_rows_take_the_new_child_and_those_without_a_child_are_new() -> None:
    rows = [row(0, math.nan, fresh=0), row(1, math.nan, fresh=0)]
    said = Contests().decide(rows, {"[0]"})
    assert [one.decision for one in said.values()] == ["no_fresh_rows", "new"]


def test_a_least_gain_can_be_asked_for() -> None:
    rows = [row(shop, 0.2 + shop / 1000, 0.01) for shop in range(5)]
    assert set(decided(Contests(min_gain=0.1), rows).values()) == {"replaced"}
    assert set(decided(Contests(min_gain=0.5), rows).values()) == {"incumbent_kept"}


def test_the_order_of_the_groups_plays_no_part() -> None:
    rng = np.random.default_rng(1)
    rows = [row(shop, float(rng.normal() * 0.1), 0.1) for shop in range(40)]
    assert decided(Contests(), rows) == decided(Contests(), rows[::-1])


@pytest.mark.parametrize(
    ("options", "message"), [({"evidence": "all"}, "evidence='all'"), ({"min_gain": -1}, "min_gain=-1")]
)
def test_what_is_no_evidence_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Contests(**options)
