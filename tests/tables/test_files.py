"""Tables from files: every format alike, and one clear line for what is none."""

import gzip
import re
import sys

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from metamodel.exceptions import InputError
from metamodel.tables.files import read_batches, read_table, write_table

FRAME = pd.DataFrame({"country": ["FR", "NA", "🦉"], "store": [7, 8, 9], "units": [1.5, np.nan, 3.0]})


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "table.csv"
    FRAME.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.CSV", "t.csv.gz", "t.csv.bz2", "t.csv.xz"])
def test_a_csv_file_is_read_compressed_or_not(tmp_path, name):
    FRAME.to_csv(tmp_path / name, index=False)
    assert_frame_equal(read_table(tmp_path / name, ["country"]), FRAME)


def test_a_tab_separated_file_is_read(tmp_path):
    FRAME.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    assert_frame_equal(read_table(tmp_path / "t.tsv", ["country"]), FRAME)


@pytest.mark.parametrize("name", ["t.parquet", "t.pq"])
def test_a_parquet_file_is_read(tmp_path, name):
    FRAME.to_parquet(tmp_path / name)
    assert_frame_equal(read_table(str(tmp_path / name)), FRAME)


def test_a_folder_of_parquet_files_is_read_whole(tmp_path):
    for i in range(3):
        FRAME.iloc[[i]].to_parquet(tmp_path / f"{i}.parquet", index=False)
    assert_frame_equal(read_table(tmp_path), FRAME)


def test_a_partitioned_folder_gives_its_partition_column(tmp_path):
    FRAME.to_parquet(tmp_path / "t", partition_cols=["store"])
    found = read_table(tmp_path / "t").sort_values("store", ignore_index=True)
    assert found["store"].tolist() == [7, 8, 9]


@pytest.mark.parametrize("text", ["NA", "null", "None", "nan", "N/A", "-"])
def test_in_a_group_column_only_an_empty_field_is_null(tmp_path, text):
    (tmp_path / "t.csv").write_text(f"country,units\n{text},1\n,2\n")
    assert read_table(tmp_path / "t.csv", ["country"])["country"].isna().tolist() == [False, True]


def test_in_other_columns_the_usual_marks_are_null(tmp_path):
    (tmp_path / "t.csv").write_text("country,units\nFR,NA\nFR,1\n")
    assert read_table(tmp_path / "t.csv", ["country"])["units"].isna().tolist() == [True, False]


def test_text_columns_keep_leading_zeros(tmp_path):
    (tmp_path / "t.csv").write_text("zip,units\n01234,1\n")
    assert read_table(tmp_path / "t.csv", ["zip"], text_columns=["zip"])["zip"].tolist() == ["01234"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeffcountry,units\nNA,1\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv", ["country"])["country"].tolist() == ["NA"]


def test_integers_beside_nulls_stay_exact(tmp_path):
    big = pd.DataFrame({"store": pd.array([2**53 + 1, None], dtype="Int64")})
    big.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["store"][0] == 2**53 + 1


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_parts_together_are_the_table(tmp_path, name):
    long = pd.concat([FRAME] * 40, ignore_index=True)
    write_table(tmp_path / name, [long])
    parts = list(read_batches(tmp_path / name, ["country"], batch_rows=50))
    assert max(len(part) for part in parts) <= 50
    assert_frame_equal(pd.concat(parts, ignore_index=True), long)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_without_rows_is_one_part_without_rows(tmp_path, name):
    write_table(tmp_path / name, [FRAME.iloc[:0]])
    assert [(len(part), list(part)) for part in read_batches(tmp_path / name)] == [(0, [*FRAME])]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "deep/er/out.parquet"])
def test_written_parts_are_read_as_one_table(tmp_path, name):
    rows = write_table(tmp_path / name, [FRAME.iloc[:2], FRAME.iloc[2:]])
    assert rows == 3
    assert_frame_equal(read_table(tmp_path / name, ["country"]), FRAME)


def test_a_part_that_is_all_null_does_not_fix_the_type(tmp_path):
    parts = [pd.DataFrame({"a": pd.Series([None], dtype=object)}), pd.DataFrame({"a": ["x"]})]
    write_table(tmp_path / "out.parquet", parts)
    assert read_table(tmp_path / "out.parquet")["a"].tolist()[1] == "x"


def test_a_table_that_was_not_finished_leaves_nothing(tmp_path):
    def parts():
        yield FRAME
        raise RuntimeError("no more rows")

    with pytest.raises(RuntimeError, match="no more rows"):
        write_table(tmp_path / "out.csv", parts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "missing"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(InputError, match=rf"no file or folder '.*{name}'. Check the path \(relative paths start at"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("name", ["table.xlsx", "table.json", "table"])
def test_a_file_of_another_kind_is_refused(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(
        InputError, match=rf"'{name}' is no table that can be read. Use .csv, .csv.gz, .parquet or a folder"
    ):
        read_table(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("empty.parquet", b""),
        ("text.parquet", b"country,units\nFR,1\n"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n"),
        ("latin1.csv", "Stra\u00dfe,b\n1,2\n".encode("latin-1")),
        ("plain.csv.gz", b"a,b\n1,2\n"),
        ("short.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)[:40]),
        ("garbled.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)[:20] + b"\xff" * 30),
        ("plain.csv.xz", b"a,b\n1,2\n"),
    ],
)
def test_a_damaged_or_foreign_file_is_one_clear_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^'.*{re.escape(name)}' cannot be read: .* Check that the file is complete"):
        read_table(tmp_path / name)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"folder '.*' holds no Parquet file. Check the path"):
        read_table(tmp_path)


def test_a_column_that_is_there_twice_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(InputError, match=r"'t.csv' has more than one column named 'a'. Rename one"):
        read_table(tmp_path / "t.csv")


def test_a_table_is_written_as_csv_or_parquet_only(tmp_path):
    with pytest.raises(
        InputError, match=r"'out.xlsx' is no table that can be written. End the name with .parquet or .csv"
    ):
        write_table(tmp_path / "out.xlsx", [FRAME])


def test_a_finished_csv_is_the_source_it_was_read_from(csv):
    write_table(csv, read_batches(csv, ["country"], batch_rows=1))
    assert_frame_equal(read_table(csv, ["country"]), FRAME)


def test_numbers_of_a_csv_file_are_read_to_the_last_bit(tmp_path):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=1000)})
    write_table(tmp_path / "t.csv", [frame])
    assert_frame_equal(read_table(tmp_path / "t.csv"), frame, check_exact=True)


def test_the_package_that_a_compressed_file_needs_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "t.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(InputError, match=r"'t.csv.zst' cannot be read without the package zstandard. Install it"):
        read_table(tmp_path / "t.csv.zst")


def test_words_that_pandas_takes_for_null_stay_in_columns_of_text(tmp_path):
    path = tmp_path / "plots.csv"
    path.write_text("plot,soil,depth,wet\n1,None,1.5,True\n2,clay,NA,False\n3,,null,\n4,NA,2,True\n")
    table = read_table(path)
    assert table["soil"].isna().tolist() == [False, False, True, False]
    assert table["soil"].dropna().tolist() == ["None", "clay", "NA"]
    assert table["depth"].isna().tolist() == [False, True, True, False]
    assert table["wet"].isna().tolist() == [False, False, True, False]


def test_words_stay_in_text_columns_that_are_named(tmp_path):
    path = tmp_path / "plots.csv"
    path.write_text("plot,soil\n1,null\n2,\n3,7\n")
    (part,) = read_batches(path, text_columns=["soil"])
    assert part["soil"].fillna("<null>").tolist() == ["null", "<null>", "7"]
