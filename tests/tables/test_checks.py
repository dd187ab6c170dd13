"""Data checks: what is said of a table before anything is fitted, on both engines in the same words."""

import numpy as np
import pytest
from checked_tables import EXPECTED, clean, fit, spoiled
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.tables.checks import findings, group_sizes, table_facts


def test_a_clean_table_has_no_findings() -> None:
    result = fit(clean())
    assert (result.findings, result.summary["data_findings"]) == ((), 0)


def test_every_fault_is_found_and_said(caplog: pytest.LogCaptureFixture) -> None:
    result = fit(spoiled())
    assert {(one.check, one.columns) for one in result.findings} == EXPECTED
    assert result.summary["data_findings"] == 6
    assert [record.getMessage() for record in caplog.records] == [f"warning: {one.message}" for one in result.findings]
    assert all("\n" not in one.message for one in result.findings)


def test_strict_refuses_the_table_with_all_findings_in_one_line() -> None:
    with pytest.raises(InputError, match=r"6 data checks failed under strict=True: \(1\) .* \(6\) .*") as caught:
        fit(spoiled(), strict=True)
    assert "\n" not in str(caught.value)


def test_strict_takes_a_clean_table() -> None:
    assert fit(clean(), strict=True).summary["groups_fitted"] == 3


def test_the_difference_to_a_declared_schema_is_printed() -> None:
    result = fit(clean(), schema={"shop": "string", "x": "boolean", "w": "number"})
    assert [(one.check, one.columns) for one in result.findings] == [("schema", ("x", "w", "z"))]
    message = (
        "The columns are not the expected ones: changed 'x': boolean → number; missing 'w': number; new 'z': number."
    )
    assert result.findings[0].message.startswith(message)


def test_few_rows_are_no_proof_of_a_copy() -> None:
    frame = clean(9).assign(x=lambda f: f["y"])
    assert findings(table_facts(frame, ["x"], "y", ["shop"]), "y", {}, None) == []


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_the_gini_coefficient_is_half_the_relative_mean_difference(sizes: list[int]) -> None:
    rows = np.array(sizes, dtype=float)
    expected = np.abs(rows[:, None] - rows).mean() / (2 * rows.mean())
    assert group_sizes(sizes)["group_rows_gini"] == pytest.approx(expected, abs=1e-12)
