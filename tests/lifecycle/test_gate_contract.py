"""What a version may cost, beside the champion."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from metamodel.lifecycle.gate_contract import budget_checks
from metamodel.lifecycle.gate_rules import BudgetRule


def side(megabytes: float) -> Any:
    """Describe a version whose bundle has one file of this size."""
    files = {"shards/00000.sqlite": SimpleNamespace(size=round(megabytes * 1e6))}
    return SimpleNamespace(model=SimpleNamespace(manifest=SimpleNamespace(files=files)))


@pytest.mark.parametrize(
    ("candidate", "champion", "passed"),
    [
        (0.34, 0.21, True),  # an update of a few groups adds a file
        (1.5, 1, True),
        (30, 20, True),
        (31, 20, False),
        (2.2, 1.1, False),
    ],
)
def test_a_bundle_may_be_a_multiple_or_a_megabyte_larger(candidate: float, champion: float, passed: bool) -> None:
    (check,) = budget_checks(BudgetRule(bundle_mb="1.5x"), side(candidate), side(champion), pd.DataFrame())
    assert check.passed == passed
    assert "at most 1.5 times or 1 MB more" in check.words


def test_a_bundle_in_megabytes_has_the_limit_that_was_given() -> None:
    (check,) = budget_checks(BudgetRule(bundle_mb=0.3), side(0.34), None, pd.DataFrame())
    assert not check.passed
