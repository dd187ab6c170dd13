"""The forms of the signature: what MLflow checks, and what it leaves to us."""

from typing import Any

import mlflow
import pandas as pd
import pytest

import metamodel
from metamodel.flavor.scoring_server import PublicError


def _load(result: metamodel.TrainingResult, **options: Any) -> Any:
    return mlflow.pyfunc.load_model(metamodel.log_model(result, **options, report=False).model_uri)


# -------- the forms of the signature
def _prices() -> pd.DataFrame:
    return pd.DataFrame(
        {"store": [1, 1, 2, 2], "x": [0.5, 1.5, 2.5, 3.5], "n": [1, 2, 3, 5], "y": [1.0, 2.0, 4.0, 7.0]}
    )


@pytest.mark.parametrize("inputs", ["unchecked", "packed"])
def test_every_form_of_the_signature_gives_the_same_answers(inputs: str) -> None:
    result = metamodel.train(_prices(), "store", "y", "ridge", holdout=0, n_jobs=1)
    model = _load(result, inputs=inputs)
    rows = _prices()[["store", "x", "n"]]
    sent = rows[["store"]].assign(features=rows[["x", "n"]].to_numpy().tolist()) if inputs == "packed" else rows
    expected = metamodel.load_model(result.bundle_path).predict(rows)
    pd.testing.assert_frame_equal(model.predict(sent), expected)
    assert model.predict(model.input_example)["status"].tolist() == ["child"] * 3


def test_an_unchecked_feature_of_text_spoils_its_own_row_alone() -> None:
    model = _load(metamodel.train(_prices(), "store", "y", "ridge", holdout=0, n_jobs=1), inputs="unchecked")
    answers = model.predict(pd.DataFrame({"store": [1, 1], "x": [0.5, "text"], "n": [1, 1]}))
    assert answers["status"].tolist() == ["child", "failed"]


@pytest.mark.parametrize("features", [[[0.5]], [0.5], ["ab"], [None]])
def test_packed_features_of_another_number_are_refused(features: list[Any]) -> None:
    model = _load(metamodel.train(_prices(), "store", "y", "ridge", holdout=0, n_jobs=1), inputs="packed")
    with pytest.raises(PublicError, match=r"no list of 2 values\. Give the features of each row in this order: x, n\."):
        model.predict(pd.DataFrame({"store": [1], "features": features}))


def test_features_cannot_be_packed_where_a_column_has_that_name() -> None:
    result = metamodel.train(_prices().rename(columns={"x": "features"}), "store", "y", "ridge", holdout=0, n_jobs=1)
    with pytest.raises(metamodel.exceptions.InputError, match="a column of the model has that name"):
        metamodel.log_model(result, inputs="packed", report=False)
    with pytest.raises(metamodel.exceptions.InputError, match="inputs='neither' is unknown"):
        metamodel.log_model(result, inputs="neither", report=False)
