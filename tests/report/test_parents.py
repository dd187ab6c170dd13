"""Local or global: children against their parents, as the report says it."""

import numpy as np
import pandas as pd
import pytest

from metamodel.report.page import render
from metamodel.report.page_content import Facts
from metamodel.report.parents import LocalOrGlobal


def test_a_bundle_of_an_older_release_has_a_page(models):
    result = models["odd names"]
    old = result.ledger.drop(
        columns=[
            "compared_rows",
            "error_saved",
            "error_saved_global",
            "p_value",
            "p_value_adjusted",
            "better_than_parent",
        ]
    )
    assert "Local or global?" not in render(Facts(result.manifest, old, None, None), "0")


def test_verdicts_of_an_older_release_are_adjusted_for_their_number(models):
    result = models["forecast"]
    old = result.ledger.drop(columns="p_value_adjusted").assign(better_than_parent="yes")
    assert render(Facts(result.manifest, old, None, None), "0") == render(
        Facts(result.manifest, result.ledger, None, None), "0"
    )


def compared(**columns):
    """Four children that were compared with their parent."""
    frame = pd.DataFrame({
        "encoded": ["[1]", "[2]", "[3]", "[4]"], "status": "fitted", "reason": "", "compared_rows": [20, 20, 2, 0],
        "error_saved": [0.5, -0.25, 0.9, np.nan], "error_saved_global": 0.0, "p_value": [0.001, 0.9, 0.04, np.nan],
        "p_value_adjusted": [0.003, 0.9, 0.06, np.nan], "better_than_parent": ["yes", "no", "undecided", ""],
    })  # fmt: skip
    return frame.assign(**columns)


def test_only_children_with_rows_that_their_parent_had_not_seen_are_compared():
    local = LocalOrGlobal(compared(), {"[1]": 25, "[2]": 20, "[3]": 2, "[4]": 7})
    assert local.compared["encoded"].tolist() == ["[1]", "[2]", "[3]"]
    assert local.rows_not_compared == 5
    assert local.better == pytest.approx(1 / 3)


def test_groups_of_a_row_or_two_are_no_examples_where_there_are_others():
    local = LocalOrGlobal(compared(), {})
    assert [row["encoded"] for row in local.most_saved()] == ["[1]", "[2]"]
    assert [row["encoded"] for row in local.least_saved()] == ["[2]", "[1]"]
    few = LocalOrGlobal(compared(compared_rows=[2, 1, 2, 0]), {})
    assert [row["encoded"] for row in few.most_saved()] == ["[3]", "[1]", "[2]"]


def test_pruned_children_are_counted():
    assert LocalOrGlobal(compared(reason=["pruned: 1 %", "", "pruned", "min_rows"]), {}).pruned == 2
