"""The sample tables: what their rows promise, and what a caller reads when one is not at hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from metamodel.datasets import SAMPLES, SPECIAL_STORES, load_california, load_sample, make_store_sales
from metamodel.exceptions import InputError

GROUP = ["store", "product"]
FEATURES = ["price", "promotion", "trend", "season_sin", "season_cos"]
ONE_ROW, THREE_ROWS, CONSTANT, PARTLY_MISSING, ALL_MISSING = SPECIAL_STORES


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    return make_store_sales()


def units_of(sales: pd.DataFrame, store: int) -> pd.Series:
    return sales.loc[sales["store"] == store, "units"]


def california_cache(folder: Path) -> Path:
    """The file scikit-learn keeps its copy in (`_pkl_filepath` adds `_py3`)."""
    return folder / "cal_housing_py3.pkz"


# --- the synthetic panel


def test_sales_has_the_documented_columns_in_order(sales):
    assert list(sales.columns) == ["country", "store", "product", "week", *FEATURES, "units"]


def test_sales_columns_have_the_documented_types(sales):
    kinds = sales.drop(columns=["country", "product"]).dtypes.astype(str).to_dict()
    floats = dict.fromkeys(["price", "trend", "season_sin", "season_cos", "units"], "float64")
    assert kinds == {"store": "int64", "week": "datetime64[ns]", "promotion": "int64", **floats}


@pytest.mark.parametrize("column", ["country", "product"])
def test_sales_text_columns_hold_strings(sales, column):
    assert pd.api.types.infer_dtype(sales[column]) == "string"


def test_sales_weeks_are_mondays(sales):
    assert (sales["week"].dt.day_of_week == 0).all()


def test_sales_trend_counts_years_since_the_first_week(sales):
    days = (sales["week"] - sales["week"].min()).dt.days
    np.testing.assert_allclose(sales["trend"], days / 365.25)


def test_sales_promotion_is_zero_or_one(sales):
    assert set(sales["promotion"]) == {0, 1}


def test_sales_units_are_never_negative():
    assert make_store_sales(n_weeks=2000, broken=False)["units"].min() >= 0


def test_sales_stores_are_in_one_country_each(sales):
    assert (sales.groupby("store")["country"].nunique() == 1).all()


def test_sales_countries_are_several(sales):
    assert sales["country"].nunique() > 1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(4, 30), st.booleans(), st.integers(0, 2**32))
def test_sales_same_arguments_give_the_same_table(n_stores, n_products, n_weeks, broken, seed):
    once, again = (make_store_sales(n_stores, n_products, n_weeks, broken=broken, random_state=seed) for _ in range(2))
    assert_frame_equal(once, again)


def test_sales_another_seed_gives_another_table(sales):
    assert not sales["units"].equals(make_store_sales(random_state=1)["units"])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(4, 30), st.booleans())
def test_sales_rows_are_ordered_by_store_product_and_week(n_stores, n_products, n_weeks, broken):
    table = make_store_sales(n_stores, n_products, n_weeks, broken=broken)
    assert_frame_equal(table, table.sort_values([*GROUP, "week"], ignore_index=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30))
def test_sales_without_special_stores_is_a_full_panel(n_stores, n_products, n_weeks):
    sizes = make_store_sales(n_stores, n_products, n_weeks, broken=False).groupby(GROUP).size()
    assert sizes.tolist() == [n_weeks] * (n_stores * n_products)


def test_sales_a_model_per_group_clearly_beats_one_for_all():
    table = make_store_sales(broken=False)
    late = table["week"] >= table["week"].unique()[83]
    train, holdout = table[~late], table[late]
    # The one model may know the groups' levels (one column a group): what it lacks is their own slopes.
    levels = pd.get_dummies(table["store"].astype(str) + table["product"]).astype(float)
    wide = pd.concat([table[FEATURES], levels], axis=1)
    one_for_all = Ridge(alpha=0.1).fit(wide[~late], train["units"]).predict(wide[late])
    children = {key: Ridge(alpha=0.1).fit(rows[FEATURES], rows["units"]) for key, rows in train.groupby(GROUP)}
    per_group = pd.concat(
        pd.Series(children[key].predict(rows[FEATURES]), index=rows.index) for key, rows in holdout.groupby(GROUP)
    ).loc[holdout.index]
    assert r2_score(holdout["units"], per_group) > r2_score(holdout["units"], one_for_all) + 0.05


# --- the special stores


def test_special_stores_come_after_the_ordinary_ones_and_leave_them_alone(sales):
    ordinary = make_store_sales(broken=False)
    assert_frame_equal(sales.iloc[: len(ordinary)], ordinary)


def test_special_stores_are_exactly_the_listed_ones(sales):
    extra = set(sales["store"]) - set(make_store_sales(broken=False)["store"])
    assert extra == set(SPECIAL_STORES)


def test_special_stores_are_one_group_each_by_store_and_by_product(sales):
    special = sales[sales["store"].isin(list(SPECIAL_STORES))]
    assert (special.groupby("store")["product"].nunique() == 1).all()


@pytest.mark.parametrize(("store", "rows"), [(ONE_ROW, 1), (THREE_ROWS, 3), (CONSTANT, 104)])
def test_special_store_has_its_number_of_rows(sales, store, rows):
    assert len(units_of(sales, store)) == rows


def test_special_store_with_constant_target(sales):
    assert units_of(sales, CONSTANT).unique().tolist() == [50.0]


def test_special_store_with_target_missing_in_every_fourth_week(sales):
    assert units_of(sales, PARTLY_MISSING).isna().tolist() == [False, False, False, True] * 26


def test_special_store_with_target_all_missing(sales):
    assert units_of(sales, ALL_MISSING).isna().all()


def test_no_other_target_is_missing(sales):
    assert set(sales.loc[sales["units"].isna(), "store"]) == {PARTLY_MISSING, ALL_MISSING}


# --- wrong arguments


@pytest.mark.parametrize("name", ["n_stores", "n_products", "n_weeks"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None, True, 1_000_000])
def test_sales_refuses_a_wrong_size(name, value):
    with pytest.raises(InputError, match=rf"{name} must be a whole number from 1 to [\d,]+, not {value!r}\."):
        make_store_sales(**{name: value})


@pytest.mark.parametrize("value", [-1, 1.5, None])
def test_sales_refuses_a_wrong_seed(value):
    with pytest.raises(InputError, match=rf"random_state must be a whole number from 0 .* not {value!r}"):
        make_store_sales(random_state=value)


def test_sales_refuses_a_broken_that_is_not_boolean():
    with pytest.raises(InputError, match="broken must be True or False, not 'no'"):
        make_store_sales(broken="no")


def test_sales_refuses_too_few_weeks_for_the_special_stores():
    with pytest.raises(InputError, match=r"n_weeks=3 is too short .* at least 4 weeks, or broken=False"):
        make_store_sales(n_weeks=3)


def test_sales_accepts_numpy_integers(sales):
    assert_frame_equal(make_store_sales(np.int64(20), np.int32(5), np.uint8(104)), sales)


# --- the real table


def test_california_adds_cells_rounded_down_to_whole_degrees(tmp_path, monkeypatch):
    # Two districts as scikit-learn keeps them: target first, latitude and longitude last. -122.23 tells
    # rounding down from truncating.
    district = [452600.0, 8.3, 41.0, 880.0, 129.0, 322.0, 126.0]
    joblib.dump(np.array([[*district, 37.88, -122.23], [*district, 34.0, -118.0]]), california_cache(tmp_path))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    assert load_california()[["lat_cell", "lon_cell"]].to_numpy().tolist() == [[37, -123], [34, -118]]


@pytest.fixture
def california_not_at_hand(tmp_path, monkeypatch):
    """A data folder that is a file: no copy can be read or written there, network or not."""
    folder = tmp_path / "a_file"
    folder.write_text("not a folder")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(folder))


@pytest.mark.usefixtures("california_not_at_hand")
def test_california_not_at_hand_names_the_cause():
    with pytest.raises(InputError, match=r"not at hand \(FileExistsError: .*a_file'\)"):
        load_california()


@pytest.mark.usefixtures("california_not_at_hand")
def test_california_not_at_hand_names_the_remedies():
    with pytest.raises(InputError, match=r"'sales'.* CSV file.* SCIKIT_LEARN_DATA"):
        load_california()


@pytest.mark.usefixtures("california_not_at_hand")
def test_california_not_at_hand_is_said_on_one_line():
    with pytest.raises(InputError, match=r"\A[^\n]+\Z"):
        load_california()


@pytest.mark.parametrize(("content", "evidence"), [(b"", "EOFError"), (b"garbage", "ValueError: ")])
def test_california_damaged_copy_is_reported(tmp_path, monkeypatch, content, evidence):
    california_cache(tmp_path).write_bytes(content)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=rf"not at hand \({evidence}.*\(delete a damaged copy"):
        load_california()


# --- samples by name


def test_samples_lists_the_known_names():
    assert list(SAMPLES) == ["sales", "california"]


def test_load_sample_gives_the_sample_with_its_defaults(sales):
    assert_frame_equal(load_sample("sales"), sales)


def test_load_sample_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"No built-in sample 'sale'\. Use one of sales, california"):
        load_sample("sale")


def test_importing_datasets_does_not_import_sklearn():
    code = "import sys, metamodel.datasets; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
