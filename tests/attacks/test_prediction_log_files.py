"""Files of a prediction log that a disk, or somebody, has changed, cut or put there: rows as they were, or an error."""

import os
import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from logged_rows import ids_in, log_in

from metamodel.exceptions import InputError, MetaModelError
from metamodel.prediction_log.compaction import compact_log
from metamodel.prediction_log.log_files import new_files, write_new_file
from metamodel.prediction_log.log_reader import read_log

pytestmark = pytest.mark.attack

FILES = 600


def _rows(folder: Path) -> pd.DataFrame:
    rows = pd.concat(read_log(folder)).astype(str)
    return rows.sort_values("row_id").reset_index(drop=True)


def _damaged(dice: random.Random, content: bytes, pages: int) -> bytes:
    """Flip some bits of the pages, cut the file, or write other bytes over some of it."""
    changed, way = bytearray(content), dice.randrange(3)
    if way == 0:
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(4, pages)] ^= 1 << dice.randrange(8)
    elif way == 1:
        del changed[dice.randrange(len(changed)) :]
    else:
        start = dice.randrange(4, pages)
        changed[start : min(pages, start + 50)] = dice.randbytes(dice.randint(1, 50))
    return bytes(changed)


def test_a_changed_value_is_damage(tmp_path: Path) -> None:
    folder = log_in(tmp_path, 1)
    (file,) = new_files(folder)
    content = file.read_bytes()
    assert content.count(b"sales") > 0  # the model's name, in the dictionary of its column
    file.write_bytes(content.replace(b"sales", b"tales", 1))
    with pytest.raises(InputError, match=r"is damaged \(.*CRC"):
        list(read_log(folder))


def test_changed_pages_and_cut_files_give_no_error_that_is_not_ours_and_hardly_ever_other_rows(tmp_path: Path) -> None:
    """The few bytes in front of a page that say how to read it have no checksum."""
    folder = log_in(tmp_path, 3)
    rows, file = _rows(folder), new_files(folder)[1]
    content, dice = file.read_bytes(), random.Random(17)
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")  # behind them is the footer
    outcomes: Counter[str] = Counter()
    for _ in range(FILES):
        file.write_bytes(_damaged(dice, content, pages))
        try:
            again = _rows(folder)
        except MetaModelError:
            outcomes["refused"] += 1
            continue
        outcomes["as before" if again.equals(rows) else "other rows"] += 1
    assert outcomes.total() == FILES
    assert outcomes["refused"] > FILES / 2
    assert outcomes["other rows"] < FILES / 50


def test_a_changed_footer_is_rows_or_an_error_of_ours(tmp_path: Path) -> None:
    """A footer has no checksum: a name that was changed in it is another column's."""
    folder = log_in(tmp_path, 2)
    file = new_files(folder)[0]
    content, dice = file.read_bytes(), random.Random(17)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    outcomes: Counter[str] = Counter()
    for _ in range(FILES // 2):
        changed = bytearray(content)
        changed[dice.randrange(footer, len(content))] ^= 1 << dice.randrange(8)
        file.write_bytes(changed)
        try:
            outcomes[f"{len(_rows(folder))} rows"] += 1
        except MetaModelError:
            outcomes["refused"] += 1
    assert outcomes.total() == FILES // 2
    assert outcomes.keys() >= {"refused", "40 rows"}


def test_what_is_no_file_of_the_log_is_passed_over_or_set_aside_and_the_others_are_read(tmp_path: Path) -> None:
    folder = log_in(tmp_path, 2)
    first = new_files(folder)[0]
    new = first.parent
    os.mkfifo(new / "rows-20200101T000000000000-h-1-aaaaaaaa.parquet")  # opening it would wait for ever
    (new / "rows-20200101T000000000000-h-1-bbbbbbbb.parquet").mkdir()
    (new / "rows-20200101T000000000000-h-1-cccccccc.parquet").symlink_to("/dev/zero")
    assert ids_in(folder) == list(range(40))
    content = first.read_bytes().replace(b"sales", b"tales", 1)  # in a page: the footer is whole
    odd = new / "rows-20200101T000000000000-h-1-dddddddd.parquet"
    odd.write_bytes(content)
    write_new_file(folder, pa.table({"row_id": ["a row without a time"]}))
    with pytest.raises(InputError, match=r"dddddddd.parquet of the log is damaged"):
        list(read_log(folder))
    done = compact_log(folder)
    assert (done.rows, done.damaged) == (40, 2)
    assert ids_in(folder) == list(range(40))
