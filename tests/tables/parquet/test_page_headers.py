"""The headers of a column's pages: what each opens to, and no way to read for ever."""

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metamodel.tables.parquet.page_headers import DICTIONARY_PAGE, pages


def _reading(content: bytes) -> Callable[[int, int], bytes]:
    return lambda start, size: content[start : start + size]


def _field(delta: int, kind: int, *content: int) -> bytes:
    return bytes([delta << 4 | kind, *content])


# Kind 0, which opens to 3 bytes and is stored in 2; zigzag doubles the numbers.
_PLAIN = _field(1, 5, 0) + _field(1, 5, 6) + _field(1, 5, 4)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_the_pages_of_a_column_open_to_what_its_footer_says(version: str, compression: str) -> None:
    table = pa.table({"x": [f"text {i % 7}" for i in range(50_000)], "y": range(50_000)})
    body = io.BytesIO()
    pq.write_table(table, body, data_page_version=version, compression=compression, data_page_size=5_000)
    group = pq.read_metadata(body).row_group(0)
    for column in (group.column(0), group.column(1)):
        start = column.dictionary_page_offset
        found = list(pages(_reading(body.getvalue()), start, start + column.total_compressed_size))
        assert len(found) > 3
        assert [page.kind for page in found].count(DICTIONARY_PAGE) == 1
        opened = sum(page.opened for page in found)
        # The footer counts the headers, too.
        assert opened < column.total_uncompressed_size < opened + 200 * len(found)


@pytest.mark.parametrize(
    "more",
    [
        b"",
        _field(1, 1) + _field(1, 2),
        _field(1, 3, 7) + _field(1, 7, *range(8)),
        _field(1, 8, 3, 1, 2, 3),
        _field(1, 9, 2 << 4 | 5, 2, 4) + _field(1, 10, 15 << 4 | 1, 1, 1),
        _field(1, 12) + _field(1, 6, 2) + b"\0",
        _field(0, 5, 200, 1, 2),
    ],
    ids=["none", "booleans", "a byte and a double", "a text", "lists", "a record", "a number of its own"],
)
def test_other_fields_of_a_header_are_passed_over(more: bytes) -> None:
    content = (_PLAIN + more + b"\0" + b"zz") * 2
    assert [(page.kind, page.opened) for page in pages(_reading(content), 0, len(content))] == [(0, 3)] * 2


def test_a_header_that_is_longer_than_a_first_look_is_read_whole() -> None:
    content = _PLAIN + _field(1, 8, 0x88, 0x27) + bytes(5000) + b"\0zz"
    assert [page.opened for page in pages(_reading(content), 0, len(content))] == [3]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "does not end"),
        (_PLAIN, "does not end"),
        (b"\0", "does not say how large"),
        (_field(1, 5, 0) + _field(1, 5, 5) + _field(1, 5, 4) + b"\0", "does not say how large"),
        (_field(1, 5, *[255] * 12), "is too long"),
        (_field(1, 13), "holds what no header does"),
        (_field(1, 12) * 20, "nests too deeply"),
        (_field(1, 9, 15 << 4 | 1, 255, 255, 127) + bytes(10_000), "too many values"),
        (_field(1, 1) * 2000, "too many values"),
        (_field(1, 8, 255, 255, 255, 255, 7), "does not end"),
    ],
    ids=["nothing", "no end", "no sizes", "below nothing", "a number without end", "a map", "deep", "a long list",
         "many fields", "a text without end"],
)  # fmt: skip
def test_what_is_no_header_is_refused_at_once(content: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        list(pages(_reading(content), 0, len(content) or 1))
