"""Models that the tests of serving share; each is made once a process."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from serving import sales

import metamodel


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return sales()


@pytest.fixture(scope="session")
def log(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trains on a table with these options; returns the logged model's URI."""

    def train(table: pd.DataFrame, **options: Any) -> str:
        path = tmp_path_factory.mktemp("serve") / "bundle"
        options = {"estimator": "ridge", **options}
        result = metamodel.train(table, ["country", "store"], "sales", holdout=0, n_jobs=1, output_dir=path, **options)
        return metamodel.log_model(result, report=False).model_uri

    return train


@pytest.fixture(scope="session")
def plain_model(table: pd.DataFrame, log: Any) -> str:
    """Stacked children that take arrays."""
    return log(table.drop(columns="colour"), unknown="fallback", prune=False, stack=True)


@pytest.fixture(scope="session")
def bundle(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle's own directory."""
    path = tmp_path_factory.mktemp("bare") / "bundle"
    rows = table.drop(columns="colour")
    # Not stacked, so that the cache has something to count.
    metamodel.train(rows, ["country", "store"], "sales", holdout=0, n_jobs=1, output_dir=path, stack=False)
    return path
