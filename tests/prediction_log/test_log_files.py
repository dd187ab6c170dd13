"""Files of the log: whole ones, of names that nobody else gives."""

from pathlib import Path

import pyarrow as pa

from metamodel.prediction_log.log_files import new_files, write_new_file


def test_files_have_names_of_their_own_and_what_is_unfinished_or_foreign_is_none(tmp_path: Path):
    paths = [write_new_file(tmp_path, pa.table({"row_id": [str(i)]})) for i in range(3)]
    (tmp_path / "new" / ".rows-20260101T000000000000-h-1-aaaaaaaa.parquet.unfinished-7").write_bytes(b"PAR1")
    (tmp_path / "new" / "notes.parquet").write_bytes(b"")
    assert new_files(tmp_path) == sorted(paths)
    assert len(set(paths)) == 3
