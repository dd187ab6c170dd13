"""Large ids are the same in a CSV file with a gap as in one without."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metamodel.tables.csv_fields import with_parsed_fields
from metamodel.tables.files import read_batches, read_table
from metamodel.tables.large_integers import maybe_rounded, with_decimals

ID = 2**60 + 1

FIELDS = {
    "signed": [ID, None, -ID, 7],
    "unsigned": [2**63 + 5, None, 1, 2],
    "small": [1, None, 2, 3],
    "huge": [1e300, None, 2.0, 3.0],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ids.csv"
    pd.DataFrame({name: pd.Series(fields, dtype=object) for name, fields in FIELDS.items()}).to_csv(path, index=False)
    return path


def test_integers_beside_a_null_are_read_as_they_are_written(path: Path) -> None:
    frame = read_table(path)
    assert frame["signed"].dropna().tolist() == [ID, -ID, 7]
    assert frame["unsigned"].dropna().tolist() == [2**63 + 5, 1, 2]
    assert frame.dtypes.astype(str).to_dict() == {
        "signed": "Int64",
        "unsigned": "UInt64",
        "small": "float64",
        "huge": "float64",
    }


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_the_parts_of_a_file_hold_the_integers_of_the_whole(path: Path, rows: int) -> None:
    parts = list(read_batches(path, batch_rows=rows))
    assert len({tuple(part.dtypes.astype(str)) for part in parts}) == 1
    for name, fields in FIELDS.items():
        read = [None if pd.isna(value) else value for part in parts for value in part[name]]
        assert read == fields


def test_an_odd_field_beside_large_integers_and_a_null_changes_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(f"id\n{ID}\n\nnorth\n{-ID}\n".replace("\n\n", '\n""\n'))
    frame = read_table(tmp_path / "ids.csv")
    for kind in ("integer", "number"):
        parsed = with_parsed_fields(frame, {"id": kind})["id"]
        assert parsed.dropna().tolist() == [ID, "north", -ID]


def test_an_empty_field_is_null_whatever_pandas_leaves_of_it() -> None:
    frame = pd.DataFrame({"id": ["", "9223372036854775813"]})
    assert with_parsed_fields(frame, {"id": "number"})["id"].tolist() == [None, 2**63 + 5]


def test_only_numbers_that_floats_cannot_hold_are_taken_for_rounded() -> None:
    frame = pd.DataFrame({"a": [2.0**53], "b": [-(2.0**53)], "c": [2.0**53 - 1], "d": [np.nan], "e": ["x"]})
    assert maybe_rounded(frame) == {"a", "b"}
    assert maybe_rounded(frame.head(0)) == set()


def test_large_integers_survive_a_column_that_is_built_anew() -> None:
    cells = with_decimals(pd.Series([ID, None, 0.5, True, 7], dtype=object)).tolist()
    assert cells == [Decimal(ID), None, 0.5, True, 7]
    assert int(pd.Series(cells)[0]) == ID
