import numpy as np
import pandas as pd
import pytest

from metamodel.evaluation.drift.drift_features import drift_features, drift_kinds
from metamodel.tables.feature_columns import Feature

TRAINED = pd.DataFrame(
    {
        "price": [1.5, 2.5],
        "open": [True, False],
        "shop": ["a", "b"],
        "size": pd.Categorical([1, 2]),
        "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    }
)
FEATURES = [Feature.infer(name, TRAINED[name]) for name in TRAINED]


def test_features_are_numbers_or_categories_by_their_recorded_kind() -> None:
    kinds = {"price": "number", "open": "number", "shop": "category", "size": "category", "day": "number"}
    assert drift_kinds(FEATURES) == kinds
    columns, unreadable = drift_features(TRAINED, FEATURES)
    assert dict(zip(columns.values, columns.kinds, strict=True)) == kinds
    assert unreadable == {}


@pytest.mark.parametrize("later", [pd.Series([1, 2, 3]), pd.Series([1.0, 2.0, np.nan]), pd.Categorical([1, 2, 3])])
def test_a_category_is_the_same_whatever_type_the_later_table_has(later: pd.Series) -> None:
    size = drift_features(TRAINED, FEATURES)[0].values["size"]
    assert (drift_features(pd.DataFrame({"size": later}), FEATURES)[0].values["size"][:2] == size).all()


def test_an_unseen_category_stays_itself_and_a_null_is_missing() -> None:
    columns, _ = drift_features(pd.DataFrame({"shop": ["z", None]}), FEATURES)
    assert columns.texts["shop"] == {int(columns.values["shop"][0]): "z"}
    assert columns.values["shop"][1] == 0


def test_what_cannot_be_read_is_missing_and_counted() -> None:
    columns, unreadable = drift_features(pd.DataFrame({"price": ["1.5", 2, None], "shop": list("abc")}), FEATURES)
    assert unreadable == {"price": 1}
    assert columns.values["price"][1] == 2.0
    assert np.isnan(columns.values["price"][[0, 2]]).all()


def test_a_feature_that_the_table_lacks_is_left_out() -> None:
    assert list(drift_features(TRAINED[["day"]], FEATURES)[0].values) == ["day"]
