"""What calls came to: sums over calls, status by status."""

import pytest

from metamodel.prediction.tally import Tally

pytestmark = pytest.mark.tableless


def test_figures_of_calls_add_up() -> None:
    total, call = Tally(), Tally(rows_stacked=2, seconds_predicting=0.5)
    call.rows.update({"child": 2, "failed": 1})
    total.add(call)
    total.add(call)
    assert total.rows == {"child": 4, "failed": 2}
    assert (total.rows_stacked, total.seconds_predicting) == (4, 1.0)
    assert call.rows == {"child": 2, "failed": 1}
