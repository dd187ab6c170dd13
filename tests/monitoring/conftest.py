"""One model of twelve shops, and rows of a time when all was well."""

import pandas as pd
import pytest
from monitored import monitored, weeks

import metamodel


@pytest.fixture(scope="session")
def model() -> metamodel.MetaModel:
    return metamodel.MetaModel(monitored(interval=0.9).bundle_path)


@pytest.fixture(scope="session")
def good() -> pd.DataFrame:
    return weeks(8, 2, start="2026-01-05")
