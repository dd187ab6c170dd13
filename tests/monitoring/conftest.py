"""One model of twelve shops, and rows of a time when all was well."""

import pandas as pd
import pytest
from monitored import monitored, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.monitoring.window_baselines import reference_for


@pytest.fixture(scope="session")
def model() -> metamodel.MetaModel:
    return metamodel.MetaModel(monitored(interval=0.9).bundle_path)


@pytest.fixture(scope="session")
def good() -> pd.DataFrame:
    return weeks(8, 2, start="2026-01-05")


@pytest.fixture(scope="session")
def reference(model: metamodel.MetaModel, good: pd.DataFrame) -> ModelReference:
    """What `monitor` makes of the good rows, made once where they are not the subject."""
    return reference_for(model, good)
