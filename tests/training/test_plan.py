"""Plans: everything that can be checked before the first fit is checked, and nothing about a table's form matters."""

import numpy as np
import pytest
from plans import FRAME, keys, plan

from metamodel.exceptions import InputError, InvalidKey, MissingColumns, UnknownEstimator


def test_without_fallback_only_children_are_planned():
    assert keys(plan(features=["price"])) == [("FR", 1), ("FR", 2), ("DE", 1), ("DE", 2), ("IT", 1)]


def test_with_fallback_every_level_is_planned():
    found = keys(plan(features=["price"], unknown="fallback"))
    assert found[5:] == [("FR",), ("DE",), ("IT",), ()]


def test_a_group_holds_its_own_rows():
    made = plan(features=["price"], unknown="fallback")
    rows = {group.key: group.rows.tolist() for group in made.groups()}
    assert (rows["DE", 1], rows[("DE",)], rows[()]) == ([2, 3], [2, 3, 4], [0, 1, 2, 3, 4, 5])


def test_a_fingerprint_changes_with_the_groups_own_rows_alone():
    changed = FRAME.assign(price=FRAME["price"].where(FRAME.index != 5, 99.0))
    before, after = ({g.key: g.fingerprint for g in plan(f, features=["price"]).groups()} for f in (FRAME, changed))
    assert [key for key in before if before[key] != after[key]] == [("IT", 1)]


USED = FRAME.assign(stock=[-5, 7, 6, 8, 9, 3], weight=[1, 2, 3, 4, 5, 6], part=list("uvwxyz"))


def _fingerprints(frame, **used):
    used = used or {"time_column": "week", "sample_weight": "weight"}
    return {group.key: group.fingerprint for group in plan(frame, features=["stock"], **used).groups()}


@pytest.mark.parametrize("dtype", ["int32", "int8", "Int64", "Int16", "float64", "Float64"])
def test_a_fingerprint_knows_values_and_no_types(dtype):
    other = USED.assign(stock=USED["stock"].astype(dtype), weight=USED["weight"].astype(dtype))
    assert _fingerprints(other) == _fingerprints(USED)


@pytest.mark.parametrize("column", ["stock", "units", "week", "weight", "part"])
def test_a_fingerprint_tells_other_values_in_every_column_that_a_fit_uses(column):
    used = {"split_groups": "part"} if column == "part" else {}
    changed = USED.assign(**{column: USED[column].mask(USED.index == 2, USED[column].iloc[0])})
    before, after = _fingerprints(USED, **used), _fingerprints(changed, **used)
    assert [key for key in before if before[key] != after[key]] == [("DE", 1)]


def test_a_fingerprint_tells_rows_in_another_order_which_are_fitted_to_another_child():
    turned = USED.iloc[[0, 1, 3, 2, 4, 5]]
    before, after = _fingerprints(USED), _fingerprints(turned)
    assert [key for key in before if before[key] != after[key]] == [("DE", 1)]


def test_the_index_of_the_table_does_not_matter():
    shifted = FRAME.set_axis([5] * 6)
    assert [g.fingerprint for g in plan(shifted).groups()] == [g.fingerprint for g in plan().groups()]


def test_null_keys_may_be_dropped_and_are_counted():
    made = plan(FRAME.assign(country=["FR", None, "DE", "DE", None, "IT"]), null_keys="drop")
    assert (keys(made), made.dropped_rows) == ([("FR", 1), ("DE", 1), ("IT", 1)], 2)


def test_null_keys_may_be_groups():
    made = plan(FRAME.assign(country=["FR", None, "DE", "DE", None, "IT"]), null_keys="group")
    assert (None, 2) in keys(made)


def test_null_keys_are_refused_with_their_number():
    with pytest.raises(
        InvalidKey, match=r"2 rows of 6 belong to no group \(first: row 1\). Group column 'country' is null. .*\"drop\""
    ):
        plan(FRAME.assign(country=["FR", None, "DE", "DE", None, "IT"]))


def test_keys_that_are_none_are_refused_whatever_the_policy():
    frame = FRAME.assign(store=np.array([1, 2, 1, 1, 2, 2**63], dtype="uint64"))
    for policy in ("error", "group", "drop"):
        with pytest.raises(
            InvalidKey,
            match=r"1 row of 6 belongs to no group \(first: row 5\). .*holds integers; .*64 bits.* in training too\.$",
        ):
            plan(frame, null_keys=policy)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"group_by": ["shop"]}, MissingColumns, r"lacks group column 'shop' \(it has 6: country, .*Add the column"),
        ({"target": "sold"}, MissingColumns, r"lacks target column 'sold'"),
        ({"time_column": "day"}, MissingColumns, r"lacks time column 'day'"),
        ({"features": ["cost"]}, MissingColumns, r"lacks feature column 'cost'"),
        ({"features": ["units"]}, InputError, r"'units' is the target and a feature. Leave it out of features"),
        ({"features": []}, InputError, r"There is no feature column left"),
        ({"features": ["week"]}, InputError, r"'week' holds timestamps, which a named estimator cannot take"),
        ({"frame": FRAME.iloc[:0]}, InputError, r"The table has no rows. Give a table with at least one group"),
        ({"frame": FRAME.assign(units=None)}, InputError, r"target 'units' is null in every row. Name a column"),
        ({"frame": FRAME.assign(country=None)}, InputError, r"'country' holds no value at all"),
        ({"target": "town", "features": ["price"]}, InputError, r"'town' is not numeric \(first text: 'a'\), .*Name a"),
        ({"target": "week", "features": ["price"]}, InputError, r"'week' holds timestamps, but a regressor predicts"),
        ({"estimator": "rigde"}, UnknownEstimator, r"no estimator named 'rigde'. Known names"),
        ({"estimator": {}}, InputError, r"estimator names no candidate. Give at least one"),
        ({"estimator": {"a": "ridge", "b": "logistic_regression"}}, InputError, r"do different tasks .*not both"),
        (
            {"estimator": {"a": "ridge", "b": "lasso"}, "holdout": 0},
            InputError,
            r"2 candidates cannot be compared with",
        ),
        (
            {"estimator_params": {"alhpa": 1}},
            InputError,
            r"Ridge cannot be built with .*alhpa.*Correct estimator_params",
        ),
        (
            {"frame": FRAME.rename(columns={"country": "status"}), "group_by": ["status"]},
            InputError,
            r"Group column 'status' has the name of a ledger column. Rename it",
        ),
        ({"frame": FRAME.rename(columns={"town": 7})}, InputError, r"Column names must be text; 7 is none. Rename"),
        (
            {"frame": FRAME.rename(columns={"town": "price"})},
            InputError,
            r"more than one column named 'price'. Keep one, rename the others",
        ),
        (
            {"frame": FRAME.rename(columns={"town": "units"})},
            InputError,
            r"more than one column named 'units'. Keep one, rename the others",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_one_clear_line_before_anything_is_fitted(changes, error, message):
    with pytest.raises(error, match=message):
        plan(**changes)
