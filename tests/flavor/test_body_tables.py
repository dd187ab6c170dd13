"""What a body may open to: one limit for both servers, from the environment."""

import io
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest
from parquet_bombs import as_file, lying

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


# Written by the process that asks, not by each that collects these tests.
BOMBS: dict[str, Callable[[], bytes]] = {
    "one text": lambda: as_file(pa.table({"x": ["a" * 2**26]}), use_dictionary=False),
    "a dictionary": lambda: as_file(pa.table({"x": [f"{i}" + "a" * 2**20 for i in range(70)]})),
    "blocks": lambda: as_file(
        pa.table({"x": pa.array([bytes([i]) + b"a" * 2**20 for i in range(70)], pa.binary(2**20 + 1))})
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_footer_that_denies_what_its_pages_open_to_is_not_believed(kind: str) -> None:
    bomb = BOMBS[kind]()
    assert len(bomb) < 2**17
    with pytest.raises(BodyTooLarge, match="this server takes 50,000,000"):
        read_parquet_table(io.BytesIO(lying(bomb)), ["x"], 50_000_000)


def test_blocks_that_one_number_repeats_are_counted_as_often_as_they_stand_there() -> None:
    bomb = as_file(pa.table({"x": pa.array([b"a" * 2**20] * 70, pa.binary(2**20))}))
    assert len(bomb) < 2**17
    with pytest.raises(BodyTooLarge, match="this server takes 50,000,000"):
        read_parquet_table(io.BytesIO(bomb), ["x"], 50_000_000)
