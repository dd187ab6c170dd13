"""A candidate that knows the group columns: how they are encoded, and that unknown ones are answered."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metamodel.fitting.knowing_groups import pooled_candidate
from metamodel.fitting.spec import Candidate
from metamodel.tables.features import FeatureSchema

RNG = np.random.default_rng(0)


def pooled(estimator: Any, levels: int) -> Any:
    """What is fitted on a feature `x` and a group column `g` of so many levels."""
    schema = FeatureSchema(FeatureSchema.infer(pd.DataFrame({"x": [0.5]}), ["x"]).features, "array")
    candidate = Candidate("it", estimator, type(estimator).__name__, "{}")
    return pooled_candidate(candidate, schema, {"g": levels}, "regression").estimator


def rows(levels: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Ten rows of each of so many groups, each at a level of its own."""
    codes = np.repeat(np.arange(levels), 10)
    frame = pd.DataFrame({"x": RNG.normal(size=len(codes)), "g": [f"[{code}]" for code in codes]})
    return frame, 10 * RNG.normal(size=levels)[codes] + frame["x"].to_numpy()


@pytest.mark.parametrize("levels", [300, 301])
def test_linear_models_get_one_column_a_level_up_to_three_hundred_and_then_an_encoded_target(levels: int) -> None:
    frame, y = rows(levels)
    fitted = pooled(Ridge(), levels).fit(frame, y)
    assert fitted[-1].coef_.shape == ((301,) if levels == 300 else (2,))


@pytest.mark.parametrize("levels", [255, 256])
def test_boosting_gets_categories_up_to_the_number_of_its_bins_and_then_an_encoded_target(levels: int) -> None:
    frame, y = rows(levels)
    fitted = pooled(HistGradientBoostingRegressor(max_iter=5), levels).fit(frame, y)
    is_categorical = fitted[-1].is_categorical_
    assert (None if is_categorical is None else is_categorical.tolist()) == ([False, True] if levels == 255 else None)


@pytest.mark.parametrize(
    "estimator", [Ridge(), HistGradientBoostingRegressor(), make_pipeline(StandardScaler(), Ridge())]
)
def test_an_unknown_level_is_answered(estimator: Any) -> None:
    frame, y = rows(20)
    fitted = pooled(estimator, 20).fit(frame, y)
    assert np.isfinite(fitted.predict(frame.head(3).assign(g=["[0]", "[999]", "[null]"]))).all()


def test_the_last_step_of_a_pipeline_gets_the_groups_and_the_callers_object_stays_as_it_is() -> None:
    given = make_pipeline(StandardScaler(), Ridge())
    frame, y = rows(5)
    fitted = pooled(given, 5).fit(frame, y)
    assert fitted[-1].coef_.shape == (6,)
    assert not hasattr(given[-1], "coef_")
