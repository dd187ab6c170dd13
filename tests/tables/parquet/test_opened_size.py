"""Files of kilobytes that open to more than there is room for are refused before they are opened."""

import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_bombs import as_file, lying

from metamodel.tables.parquet import opened_size
from metamodel.tables.parquet.opened_size import OpensTooFar, check_opened, opened_bytes

_MEGABYTES = 50

# Written by the process that asks, not by each that collects these tests.
BOMBS: dict[str, Callable[[], bytes]] = {
    "one long text": lambda: as_file(pa.table({"x": ["a" * 2**26]}), use_dictionary=False),
    "long texts": lambda: as_file(pa.table({"x": ["a" * 2**20] * 70}), use_dictionary=False),
    "repeated texts": lambda: as_file(pa.table({"x": ["a" * 2**20] * 70})),
    "repeated numbers": lambda: as_file(pa.table({"x": np.zeros(10**7)})),
    "repeated blocks": lambda: as_file(pa.table({"x": pa.array([b"a" * 2**20] * 70, pa.binary(2**20))})),
    "a list": lambda: as_file(pa.table({"x": [np.zeros(10**7)]})),
    "a list of texts": lambda: as_file(pa.table({"x": [["a" * 2**20] * 70]})),
}


@functools.cache
def bomb(kind: str) -> bytes:
    return BOMBS[kind]()


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_size, "_limit", lambda: _MEGABYTES * 2**20)


@pytest.mark.parametrize("kind", [*BOMBS, "one long text, lying", "long texts, lying", "repeated texts, lying"])
def test_a_bomb_is_refused_whatever_its_footer_says(kind: str, tmp_path: Path) -> None:
    kind, _, lies = kind.partition(", ")
    content = lying(bomb(kind)) if lies else bomb(kind)
    assert len(content) < 2**18
    (tmp_path / "file").write_bytes(content)
    before = pa.total_allocated_bytes()
    for source in (content, tmp_path / "file"):
        with pytest.raises(OpensTooFar):
            check_opened(source)
    assert pa.total_allocated_bytes() - before < 2**21


@functools.cache
def beside_a_number() -> bytes:
    return as_file(pa.table({"x": ["a" * 2**26], "y": [1.0]}), use_dictionary=False)


@pytest.mark.parametrize("lies", [False, True], ids=["honest", "lying"])
def test_columns_that_are_not_read_do_not_count(lies: bool) -> None:
    content = beside_a_number()
    check_opened(lying(content) if lies else content, ["y"])


def test_texts_that_repeat_count_as_often_as_they_stand_there_and_no_longer_one_in_their_place() -> None:
    long, short = "a" * 2**20, "b"
    check_opened(as_file(pa.table({"x": [long] + [short] * 10_000})))
    with pytest.raises(OpensTooFar):
        check_opened(as_file(pa.table({"x": [long] * 51 + [short] * 10_000})))


def test_row_groups_that_are_read_one_by_one_count_one_by_one(tmp_path: Path) -> None:
    content = as_file(pa.table({"x": np.zeros(10**7)}), row_group_size=10**6)
    (tmp_path / "file").write_bytes(content)
    check_opened(tmp_path / "file", by_group=True)
    with pytest.raises(OpensTooFar):
        check_opened(tmp_path / "file")


def test_texts_that_share_their_beginnings_are_refused() -> None:
    content = as_file(
        pa.table({"x": ["a" * 2**20] * 70}), use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"}
    )
    with pytest.raises(ValueError, match="hides its size"):
        check_opened(content)


def test_what_a_frame_holds_is_no_bomb() -> None:
    frame = pd.DataFrame(
        {"a": range(1000), "b": ["x", None] * 500, "c": pd.Timestamp("2026-11-29"), "d": [[1], []] * 500}
    )
    frame["e"] = frame["b"].astype("category")
    check_opened(as_file(pa.Table.from_pandas(frame)))
    check_opened(as_file(pa.Table.from_pandas(frame[:0])))


def test_a_file_that_is_none_is_said_to_be_none() -> None:
    with pytest.raises(pa.ArrowInvalid):
        check_opened(b"PAR1 and nothing more")


def test_what_opens_is_at_least_what_is_held() -> None:
    table = pa.table({"x": np.arange(10_000), "y": [f"{i}" for i in range(10_000)]})
    content = as_file(table)
    size = opened_bytes(pq.read_metadata(io.BytesIO(content)), {"x", "y"}, io.BytesIO(content))
    assert table.nbytes <= size < 10 * table.nbytes


def test_pages_without_number_are_not_looked_at() -> None:
    content = as_file(pa.table({"x": np.arange(60_000)}), use_dictionary=False, data_page_size=1, write_batch_size=1)
    with pytest.raises(ValueError, match="too many pages"):
        opened_bytes(pq.read_metadata(io.BytesIO(content)), {"x"}, io.BytesIO(content))


def test_the_limit_is_half_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert opened_size._limit() >= 2**30
