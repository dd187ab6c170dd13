"""Plans: everything that can be checked before the first fit is checked, and nothing about a table's form matters."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from metamodel.exceptions import InputError, InvalidKey, MissingColumns, UnknownEstimator
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import make_plan

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "country": ["FR", "FR", "DE", "DE", "DE", "IT"],
        "store": [1, 2, 1, 1, 2, 1],
        "week": pd.date_range("2026-01-01", periods=6),
        "price": RNG.normal(size=6),
        "town": list("abcabc"),
        "units": RNG.normal(size=6),
    }
)


def plan(frame=FRAME, estimator="ridge", estimator_params=None, features=("price", "town"), **options):
    options = {"group_by": ["country", "store"], "target": "units"} | options
    return make_plan(frame, TrainingOptions.create(**options), estimator, estimator_params, features)


def keys(made):
    return [group.key for group in made.groups()]


def test_every_column_without_another_role_is_a_feature():
    assert plan(features=None, time_column="week").features.names == ["price", "town"]


def test_features_may_be_named_in_any_order_and_twice():
    assert plan(features=["town", "price", "town"]).features.names == ["town", "price"]


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


def test_the_index_of_the_table_does_not_matter():
    shifted = FRAME.set_axis([5] * 6)
    assert [g.fingerprint for g in plan(shifted).groups()] == [g.fingerprint for g in plan().groups()]


@pytest.mark.parametrize(
    ("estimator", "features", "layout"),
    [
        ("ridge", ["price"], "array"),
        ("ridge", ["price", "town"], "frame"),
        (make_pipeline(FunctionTransformer(), Ridge()), ["price"], "frame"),
        ({"a": Ridge(), "b": make_pipeline(FunctionTransformer(), Ridge())}, ["price"], "frame"),
    ],
)
def test_children_get_one_matrix_where_they_surely_can(estimator, features, layout):
    assert plan(estimator=estimator, features=features).features.layout == layout


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (list("babbab"), "string", ("a", "b")),
        ([2, 0, 2, 2, 0, 2], "integer", (0, 2)),
        ([2.0, 0.0, 2.0, np.nan, 0.0, 2.0], "integer", (0, 2)),
        ([True, False, True, True, False, True], "boolean", (False, True)),
        (pd.Categorical(list("babbab"), categories=["b", "c", "a"]), "string", ("a", "b")),
        (pd.array([2, 0, None, 2, 0, 2], dtype="Int64"), "integer", (0, 2)),
        (["b", None, "b", "b", "a", "b"], "string", ("a", "b")),
    ],
    ids=repr,
)
def test_class_labels_keep_their_kind(labels, kind, classes):
    made = plan(FRAME.assign(units=labels), estimator=LogisticRegression(), features=["price"])
    assert (made.spec.task, made.target.label_kind, made.target.classes) == ("classification", kind, classes)
    assert [type(label) for label in made.target.classes] == [type(label) for label in classes]


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
            InvalidKey, match=r"1 row of 6 belongs to no group \(first: row 5\). .*holds integers; .*with\.$"
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


def test_a_target_of_mixed_labels_is_refused():
    frame = FRAME.assign(units=pd.Series([1, "a", 2, "b", 1, "a"], dtype=object))
    with pytest.raises(InputError, match=r"'units' holds mixed-integer values, which are no class labels. Convert it"):
        plan(frame, estimator=LogisticRegression(), features=["price"])
