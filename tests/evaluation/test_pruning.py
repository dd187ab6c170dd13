"""Which children need not be stored: by mean losses alone, or where a small one has not shown to be better."""

import numpy as np
import pandas as pd

from metamodel.evaluation.pruning import not_better, unproven
from metamodel.evaluation.significance import verdicts


def compared(**children: tuple[float, float, float]) -> pd.DataFrame:
    """Children with their loss, their parent's, and the p-value of the difference, on five rows each."""
    table = pd.DataFrame.from_dict(children, orient="index", columns=["loss", "parent_loss", "p_value"])
    saved = 1 - table["loss"] / table["parent_loss"]
    verdict = verdicts(table["p_value"].to_numpy(), saved.to_numpy())
    return table.assign(compared_rows=5, better_than_parent=verdict)


def test_children_that_are_not_better_go_with_their_figures_and_who_answers() -> None:
    table = compared(same=(2.0, 2.0, 1.0), better=(1.0, 2.0, 0.5), endless=(np.inf, 5.0, 1.0))
    reasons = not_better(table, {"same": "parent:1", "better": "global", "endless": "global"})
    assert list(reasons) == ["same", "endless"]
    assert reasons["same"] == "pruned: mean error 2, 2 of parent:1, on 5 rows"
    assert reasons["endless"] == "pruned: mean error inf, 5 of global, on 5 rows"


def test_groups_that_lost_their_child_before_are_judged_no_more() -> None:
    table = compared(gone=(2.0, 1.0, 0.5), worse=(3.0, 2.0, 0.5))
    assert list(not_better(table, {"worse": "global"})) == ["worse"]


def test_a_small_child_has_to_beat_its_parent_beyond_chance() -> None:
    table = compared(lucky=(1.0, 2.0, 0.3), better=(1.0, 2.0, 0.04), worse=(3.0, 2.0, 0.5))
    reasons = unproven(table, dict.fromkeys(table.index, "global"), dict.fromkeys(table.index, 29))
    assert reasons == {
        "lucky": "pruned: mean error 1, 2 of global, on 5 rows, which may be chance (p = 0.3), 29 rows in all",
        "worse": "pruned: mean error 3, 2 of global, on 5 rows, 29 rows in all",
    }


def test_a_child_of_thirty_rows_stays_unless_it_is_clearly_worse() -> None:
    table = compared(undecided=(3.0, 2.0, 0.5), worse=(3.0, 2.0, 0.01))
    reasons = unproven(table, dict.fromkeys(table.index, "global"), dict.fromkeys(table.index, 30))
    assert reasons == {"worse": "pruned: mean error 3, 2 of global, on 5 rows"}


def test_without_a_common_row_a_small_child_goes_and_without_a_parent_every_child_stays() -> None:
    table = compared(other=(1.0, 2.0, 0.01))
    reasons = unproven(table, {"small": "global", "large": "global"}, {"small": 3, "large": 30, "orphan": 3})
    assert reasons == {"small": "pruned: 3 rows, and none to compare it with global on"}


def test_where_the_parent_has_no_finite_loss_nobody_goes_for_it() -> None:
    table = compared(child=(1.0, np.inf, np.nan))
    assert not_better(table, {"child": "global"}) == {}
    assert unproven(table, {"child": "global"}, {"child": 3}) == {}


def test_where_small_children_are_clearly_better_together_only_those_that_lose_go() -> None:
    lucky = {f"lucky{i}": (1.0, 2.0 + i / 10, 0.3) for i in range(8)}
    table = compared(worse=(3.0, 2.9, 0.5), **lucky)
    answering = {**dict.fromkeys(table.index, "global"), "uncompared": "global"}
    reasons = unproven(table, answering, dict.fromkeys(answering, 20))
    assert list(reasons) == ["worse"]
    large = unproven(table, answering, dict.fromkeys(answering, 20) | dict.fromkeys(lucky, 30))
    assert list(large) == ["worse", "uncompared"]  # large ones say nothing of small ones
