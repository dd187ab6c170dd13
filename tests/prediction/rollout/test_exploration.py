"""The control group: stable, of the share that was asked for, and of entities that have a name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.prediction.rollout.exploration import Exploration
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.prediction.rollout.units import entity_units

CUSTOMERS = [f"c-{number}" for number in range(20_000)]


def control(share: float, customers: list[str | None], salt: str = "sales") -> np.ndarray:
    return Exploration.of(share, "customer", salt).control({"customer": customers}, len(customers))


def test_the_control_group_has_its_share_and_only_grows_with_it() -> None:
    small, large = control(0.01, list(CUSTOMERS)), control(0.05, list(CUSTOMERS))
    assert small.mean() == pytest.approx(0.01, abs=0.003)
    assert large[small].all()
    assert not np.array_equal(small, control(0.01, list(CUSTOMERS), "returns"))


@given(rows=st.lists(st.sampled_from([*CUSTOMERS[:50], None]), min_size=1, max_size=80))
def test_a_row_is_decided_by_its_entity_alone(rows: list[str | None]) -> None:
    decided = control(0.5, rows)
    one_by_one = [bool(control(0.5, [row])[0]) for row in rows]
    assert decided.tolist() == one_by_one
    assert not decided[[row is None for row in rows]].any()


def test_a_control_group_and_a_rollout_of_the_same_salt_are_dealt_apart() -> None:
    rollout = Rollout.of("customer", mode="ab", fraction=0.5, salt="sales")
    chosen = rollout.chosen(entity_units(rollout.entity, {"customer": CUSTOMERS}, len(CUSTOMERS)))
    assert control(0.5, list(CUSTOMERS))[chosen].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan"), True, "all"])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"^explore=.* is no share of entities\. Give a number between 0 and 1"):
        Exploration.of(share, "customer", "sales")


@pytest.mark.parametrize("entity", [(), ["customer", "customer:string"]])
def test_entities_have_columns_each_named_once(entity: list[str]) -> None:
    with pytest.raises(InputError, match=r"^explore=0\.1 takes entities, and explore_entity names .*each once"):
        Exploration.of(0.1, entity, "sales")
