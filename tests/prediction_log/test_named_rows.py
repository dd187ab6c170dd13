"""Rows are found by their names, whatever the parts in which they came; nothing is joined to what has none."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction_log.named_rows import NamedRows
from metamodel.prediction_log.row_ids import id_texts

NAMES = st.lists(st.one_of(st.integers(0, 30), st.sampled_from(["a", "b", "7", "7.0", "", "0\x000"]), st.none()))


def test_rows_are_found_by_several_columns_and_never_by_a_missing_one() -> None:
    rows = NamedRows([pd.DataFrame({"shop": [None, 1, 1, None], "day": ["a", "a", "b", "a"]})], ["shop", "day"])
    asked = pd.DataFrame({"shop": ["1", None, "1", "2"], "day": ["b", "a", "a", "a"]})
    assert rows.places(asked).tolist() == [2, -1, 1, -1]
    assert not len(rows.doubled)
    assert NamedRows([pd.DataFrame({"id": [7, 8, 7.0, None, None]})], ["id"]).doubled.tolist() == [2]


def test_which_column_a_name_stands_in_counts() -> None:
    rows = NamedRows([pd.DataFrame({"one": ["a", "b"], "two": ["b", "a"]})], ["one", "two"])
    assert rows.places(pd.DataFrame({"one": ["b"], "two": ["a"]})).tolist() == [1]
    assert not len(rows.doubled)


@given(NAMES, NAMES, st.integers(1, 4))
def test_rows_are_found_as_by_their_texts_whatever_the_parts(names: list, asked: list, size: int) -> None:
    table, other = (pd.DataFrame({"id": pd.Series(values, dtype=object)}) for values in (names, asked))
    rows = NamedRows([table[start : start + size] for start in range(0, len(table), size)], ["id"])
    texts = pd.Series(id_texts(table["id"]), dtype=object)
    doubled = texts.duplicated() & texts.notna()
    assert rows.doubled.tolist() == np.flatnonzero(doubled).tolist()
    once = NamedRows([table[~doubled]], ["id"])
    index = {text: place for place, text in enumerate(texts[~doubled]) if text is not None}
    assert once.places(other).tolist() == [index.get(text, -1) for text in id_texts(other["id"])]


def test_names_of_one_hash_are_told_apart_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: Callable[..., np.ndarray] = pd.util.hash_array
    monkeypatch.setattr(
        pd.util,
        "hash_array",
        lambda values, hash_key, **how: (
            hashed(values, hash_key=hash_key, **how) % (2 if hash_key.endswith("1") else 1 << 63)
        ),
    )
    table = pd.DataFrame({"id": [*range(50), 7]})
    assert NamedRows([table], ["id"]).doubled.tolist() == [50]
    rows = NamedRows([table[:50]], ["id"])
    assert rows.places(pd.DataFrame({"id": [*range(60)]})).tolist() == [*range(50), *[-1] * 10]


def test_a_name_that_stands_a_hundred_thousand_times_is_refused_as_fast_as_any() -> None:
    assert len(NamedRows([pd.DataFrame({"id": [7] * 100_000})], ["id"]).doubled) == 99_999
