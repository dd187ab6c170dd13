"""What a body may open to: one limit for both servers, from the environment."""

import io

import pandas as pd
import pytest

from metamodel.exceptions import InputError
from metamodel.flavor.body_tables import BodyTooLarge, opened_limit, read_parquet_table

pytestmark = pytest.mark.tableless


def test_the_limit_is_a_gibibyte_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METAMODEL_MAX_OPENED_MB", raising=False)
    assert opened_limit() == 2**30
    monkeypatch.setenv("METAMODEL_MAX_OPENED_MB", "0.5")
    assert opened_limit() == 2**19
    monkeypatch.setenv("METAMODEL_MAX_OPENED_MB", "much")
    with pytest.raises(InputError, match="METAMODEL_MAX_OPENED_MB='much' is no number of megabytes"):
        opened_limit()


def test_a_file_that_opens_to_more_is_refused_and_one_that_does_not_is_read() -> None:
    body = io.BytesIO()
    pd.DataFrame({"x": [1.0] * 10_000}).to_parquet(body, index=False)
    assert len(read_parquet_table(body, ["x"], 2**20)) == 10_000
    body.seek(0)
    with pytest.raises(BodyTooLarge, match="this server takes 1,000"):
        read_parquet_table(body, ["x"], 1000)
