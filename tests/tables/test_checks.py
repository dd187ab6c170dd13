"""Data checks: what is said of a table before anything is fitted, on both engines in the same words."""

import numpy as np
import pandas as pd
import pytest
from checked_tables import EXPECTED, clean, fit, spoiled
from hypothesis import assume, given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.tables.checks import COPY_CORRELATION, findings, no_copies, table_facts


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


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=40, unique=True),
    st.floats(-1e3, 1e3).filter(lambda slope: abs(slope) > 1e-3),
    st.floats(-1e6, 1e6),
    st.data(),
)
def test_no_few_rows_prove_that_a_linear_copy_is_none(
    target: list[float], slope: float, intercept: float, data: st.DataObject
) -> None:
    y = np.array(target)
    x = slope * y + intercept
    rows = data.draw(st.lists(st.sampled_from(range(len(y))), min_size=3, max_size=8, unique=True))
    whole = np.corrcoef(x, y)[0, 1]
    assume(abs(whole) >= COPY_CORRELATION)
    assert not no_copies(x[rows], y[rows], np.asarray(((y - y.mean()) ** 2).sum()))


def test_a_copy_but_for_its_last_rows_is_none_and_one_but_for_nulls_is_one() -> None:
    table = pd.DataFrame({"y": np.arange(400.0) ** 1.5}).assign(store=0)
    table["late"], table["holes"] = 2 * table["y"], (1 - table["y"]).where(table.index % 3 > 0)
    table.loc[300:, "late"] += np.sin(np.arange(100))
    columns = table_facts(table, ["late", "holes"], "y", ["store"]).columns
    assert [columns[name].copies_target for name in ("late", "holes")] == [False, True]
