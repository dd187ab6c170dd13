"""What a training's figures count: groups, rows, and who would answer for a group without a child."""

import numpy as np
import pandas as pd
import pytest

import metamodel


def table() -> pd.DataFrame:
    """Three groups of region A, of which one has a single row, and one group of a single row in region B."""
    rng = np.random.default_rng(0)
    shop = [0] * 20 + [1] * 20 + [2, 3]
    frame = pd.DataFrame({"region": ["A"] * 41 + ["B"], "shop": shop, "x": rng.normal(size=42)})
    return frame.assign(y=frame["x"] + rng.normal(size=42) / 10)


@pytest.mark.parametrize(
    ("unknown", "served", "unanswered"), [("null", (0, 0.0), (2, 2 / 42)), ("fallback", (2, 2 / 42), (0, 0.0))]
)
def test_groups_without_a_child_are_served_by_parents_that_answer_and_by_no_other(unknown, served, unanswered):
    summary = metamodel.train(table(), ["region", "shop"], "y", n_jobs=1, unknown=unknown, prune=False).summary
    assert (summary["groups"], summary["groups_fitted"], summary["groups_skipped"]) == (4, 2, 2)
    assert (summary["fallback_groups"], summary["fallback_row_share"]) == pytest.approx(served)
    assert (summary["unanswered_groups"], summary["unanswered_row_share"]) == pytest.approx(unanswered)


def test_sums_and_medians_are_those_of_the_ledgers_children():
    result = metamodel.train(table(), ["region", "shop"], "y", n_jobs=1, unknown="fallback", prune=False)
    children = result.ledger[(result.ledger["level"] == 2) & (result.ledger["status"] == "fitted")]
    assert result.summary["skill_median"] == children["skill"].median()
    assert result.summary["groups_above_baseline"] == (children["skill"] > 0).sum() == 2
    assert result.summary["model_bytes"] == result.ledger["bytes"].sum()
    assert result.summary["holdout_mae_mean"] == pytest.approx(children["holdout_mae"].mean())
    assert result.summary["parents_fitted"] == (result.ledger["level"] < 2).sum() - 1
