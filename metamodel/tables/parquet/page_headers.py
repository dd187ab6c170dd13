"""Read the headers of a column's pages, which say what each page opens to.

A footer says it too, and may lie; a page's header cannot: a reader makes room by it, and refuses a page that opens to
anything else. The headers are written in Thrift's compact protocol.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["DICTIONARY_PAGE", "Page", "pages"]

DICTIONARY_PAGE = 2

# Fields of a page's header by their numbers.
_KIND, _OPENED, _STORED = 1, 2, 3

# Bytes of a header that are read at first, and at most; of a header's own values none is longer.
_WINDOW, _LONGEST = 2**10, 2**24

# Values in the header of one page, at most. There are some fifteen.
_MOST_VALUES = 1000

_DEEPEST = 8

_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12


@dataclass(frozen=True)
class Page:
    """What the header of a page says of it.

    Attributes
    ----------
    kind
        Parquet's number for what is in it.
    opened
        Bytes that it opens to.
    """

    kind: int
    opened: int


def pages(read: Callable[[int, int], bytes], start: int, end: int) -> Iterator[Page]:
    """Read the headers of the pages that lie between two places of a file.

    Parameters
    ----------
    read
        Reads so many bytes from a place on, or fewer at the file's end.
    start, end
        Of the column's pages.

    Raises
    ------
    ValueError
        A header is none.
    """
    while start < end:
        window = _WINDOW
        while True:
            try:
                header = _Header(read(start, min(window, end - start)))
                break
            except IndexError:
                if window >= min(_LONGEST, end - start):
                    raise ValueError("The header of a page does not end.") from None
                window *= 16
        kind, opened, stored = (header.fields.get(number, -1) for number in (_KIND, _OPENED, _STORED))
        if min(kind, opened, stored) < 0:
            raise ValueError("The header of a page does not say how large the page is.")
        yield Page(kind, opened)
        start += header.length + stored


class _Header:
    """The whole numbers of a header by their fields' numbers, and its length in bytes.

    Raises
    ------
    IndexError
        It goes on behind the bytes that are given.
    ValueError
        It is no header.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._place, self._values = content, 0, 0
        self.fields: dict[int, int] = {}
        self._struct(0)
        self.length = self._place

    def _struct(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("The header of a page nests too deeply.")
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            value = self._value(head & 15, depth)
            if not depth:
                self.fields[number] = value

    def _value(self, kind: int, depth: int, *, listed: bool = False) -> int:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise ValueError("The header of a page holds too many values.")
        if kind in _INTEGERS:
            return self._integer()
        if kind in _BOOLEANS:
            self._skip(int(listed))
        elif kind == _BYTE:
            self._skip(1)
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind in _LISTS:
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._value(head & 15, depth, listed=True)
        elif kind == _STRUCT:
            self._struct(depth + 1)
        else:
            raise ValueError("The header of a page holds what no header does.")
        return -1

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            if (shift := shift + 7) > 63:
                raise ValueError("A number in the header of a page is too long.")
        return value | byte << shift

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self._place - 1]

    def _skip(self, size: int) -> None:
        self._place += size
        if self._place > len(self._content):
            raise IndexError
