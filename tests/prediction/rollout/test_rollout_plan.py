"""What a roll-out can be, and what is refused before any model is read."""

from typing import Any

import numpy as np
import pytest

from metamodel.exceptions import InputError
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.tables.grouping import Grouping


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"mode": "blue"}, "mode='blue' is unknown"),
        ({"mode": "ab"}, "needs units that keep their model"),
        ({"unit": "group", "entity": "c"}, "takes whole groups, and no entity"),
        ({"fraction": 2}, "is no share"),
        ({"salt": 3}, "is no text"),
        ({"patience": 0}, "is no time to wait"),
        ({"patience": float("inf")}, "is no time to wait"),
        ({"entity": ["c", "c:string"]}, "names a column twice"),
    ],
)
def test_what_cannot_be_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Rollout.of(choices.pop("entity", None), **choices)


def test_a_description_is_read_as_it_was_written() -> None:
    plan = Rollout.of(["c:date", "d"], mode="canary", fraction=0.01, salt="s", champion={"uri": "models:/a/1"})
    assert Rollout.from_dict(plan.to_dict()) == plan


def test_units_keep_their_model_while_the_fraction_grows() -> None:
    grouping = Grouping([("a",)], np.zeros(500, dtype=np.int64))
    plan = Rollout.of("c", mode="canary", fraction=0.1, salt="s")
    units = plan.units(grouping, {"c": list(range(500))})
    low, high = plan.chosen(units), plan.with_fraction(0.2).chosen(units)
    assert 0 < low.sum() < high.sum()
    assert not (low & ~high).any()
