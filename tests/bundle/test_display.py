"""What results and models show of themselves."""

import pytest

import metamodel
from metamodel.datasets import make_store_sales


@pytest.fixture(scope="module")
def result() -> metamodel.TrainingResult:
    sales = make_store_sales(n_stores=2, n_products=1, n_weeks=20)
    return metamodel.train(
        sales, ["country", "store"], "units", time_column="week", unknown="fallback", prune=False, n_jobs=1
    )


def test_a_result_is_one_line(result: metamodel.TrainingResult) -> None:
    assert repr(result) == (
        f"<TrainingResult: 7 groups by country, store: 5 fitted, 2 skipped, 0 failed; {result.bundle_path}>"
    )


def test_printing_a_result_shows_its_summary(result: metamodel.TrainingResult) -> None:
    text = str(result)

    assert text.startswith("groups            7: 5 fitted, 2 skipped, 0 failed\nrows ")
    assert "\nholdout_rmse" in text


def test_a_notebook_shows_the_summary_with_its_columns(result: metamodel.TrainingResult) -> None:
    assert result._repr_html_() == f"<pre>{result}</pre>"


def test_a_model_is_one_line(result: metamodel.TrainingResult) -> None:
    fitted = (result.ledger["status"] == "fitted").sum()

    assert repr(metamodel.MetaModel(result.bundle_path)) == (
        f"<MetaModel: {fitted} children and parents by country, store predict units; unknown groups: fallback; "
        f"{result.bundle_path}>"
    )
