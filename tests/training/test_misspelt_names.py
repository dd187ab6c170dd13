"""Misspelt names of columns, estimators, parameters, metrics and candidates: the message says what may be meant."""

import re

import pandas as pd
import pytest

import metamodel
from metamodel.datasets import make_store_sales
from metamodel.exceptions import InputError

SALES = make_store_sales(n_stores=1, n_products=2, n_weeks=20, broken=False)


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ({"target": "unit"}, "'units'"),
        ({"group_by": ["stroe", "Product"]}, "'store' for 'stroe', 'product' for 'Product'"),
        ({"features": ["prise"]}, "'price'"),
        ({"time_column": "weeks"}, "'week'"),
        ({"sample_weight": "pryce"}, "'price'"),
        ({"estimator": "rigde"}, "'ridge'"),
        ({"estimator": "hist-gradient-boosting"}, "'hist_gradient_boosting'"),
        ({"estimator": "sklearn.linear_model.Rigde"}, "'Ridge'"),
        ({"estimator": "sklearn.linear_model.Ridge", "estimator_params": {"alhpa": 1}}, "'alpha'"),
        ({"estimator_params": {"alhpa": 1}}, "'alpha'"),
        ({"metric": "rsme"}, "'rmse'"),
        ({"unknown": "fallbak"}, "'fallback'"),
        ({"engine": "Local"}, "'local'"),
        ({"shrinkage": "constnat"}, "'constant'"),
        ({"overrides": [{"store": 1, "product": "P001", "estimater": "lasso"}]}, "'estimator'"),
        ({"overrides": [{"store": 1, "produkt": "P001"}]}, "'product'|'produkt'"),
        ({"overrides": [{"store": 1, "product": "P001", "estimator": "laso"}]}, "'lasso'"),
        ({"tune": {"rigde": {"alpha": [1, 2]}}}, "'ridge'"),
        ({"tune": {"ridge": {"alhpa": [1, 2]}}}, "'alpha'"),
        ({"schema": {"prise": "number"}, "strict": True}, "'price'"),
    ],
    ids=str,
)
def test_a_misspelt_name_is_answered_with_what_may_be_meant(options, meant):
    asked = {"group_by": ["store", "product"], "target": "units", "features": ["price"], "n_jobs": 1, **options}
    with pytest.raises(InputError, match=rf"Did you mean ({meant})\?"):
        metamodel.train(SALES, **asked)


def test_nothing_is_guessed_where_nothing_is_close():
    with pytest.raises(InputError) as caught:
        metamodel.train(SALES, group_by=["store"], target="qqqqqq")
    assert "Did you mean" not in str(caught.value)


def test_a_misspelt_file_is_answered_with_the_one_beside_it(tmp_path):
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "sales_2024.csv", index=False)
    with pytest.raises(InputError, match=r"Did you mean 'sales_2024\.csv'\?$"):
        metamodel.train(tmp_path / "sale_2024.csv", group_by=["a"], target="b")


def test_a_column_that_a_model_needs_is_told_from_one_of_nearly_its_name(tmp_path):
    result = metamodel.train(SALES, group_by=["store", "product"], target="units", features=["price"], n_jobs=1)
    model = metamodel.load_model(result.bundle_path)
    with pytest.raises(InputError, match=re.escape("Did you mean 'Price'?")):
        model.predict(SALES.rename(columns={"price": "Price"}))
