"""A small training, and the same logged with each child as a model."""

from typing import Any

import pytest
from sales_groups import logged_as_models, sales_table

import metamodel


@pytest.fixture(scope="module")
def sales() -> metamodel.TrainingResult:
    return metamodel.train(
        sales_table(), ["country", "store"], "y", n_jobs=1, unknown="fallback", prune=False, duplicates="keep"
    )


@pytest.fixture(scope="module")
def info(sales: metamodel.TrainingResult) -> Any:
    return logged_as_models(sales, detail=True)
