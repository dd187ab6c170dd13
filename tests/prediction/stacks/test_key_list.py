"""Keys are found in a list of all keys wherever a dict finds them."""

import datetime as dt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InvalidKey
from metamodel.prediction.stacks.key_list import KeyList

TEXTS = st.text(max_size=3)
INTEGERS = st.integers(-3, 3) | st.integers(-(2**80), 2**80)
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "texts": TEXTS,
    "lone surrogates": TEXTS | st.just("\ud800"),
    "integers": INTEGERS,
    "booleans": st.booleans(),
    "dates": st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 9)),
}


@pytest.mark.parametrize("names", [["texts"], ["integers"], ["dates"], ["texts", "integers"], list(COLUMNS)])
@given(data=st.data())
def test_keys_stand_where_a_dict_finds_them(names: list[str], data: st.DataObject) -> None:
    keys = st.tuples(*(COLUMNS[name] for name in names))
    listed = data.draw(st.lists(keys, max_size=30, unique=True))
    others = st.just(InvalidKey("none")) | st.just(()) | st.tuples(TEXTS) | keys
    asked = data.draw(st.lists(st.sampled_from(listed) | keys if listed else keys, max_size=30))
    asked += data.draw(st.lists(others, max_size=2))
    places = {key: i for i, key in enumerate(listed)}
    assert KeyList(listed).positions(asked).tolist() == [places.get(key, -1) for key in asked]


def test_no_key_stands_in_an_empty_list() -> None:
    assert KeyList([]).positions([("FR",), (7,)]).tolist() == [-1, -1]
    assert KeyList([()]).positions([(), (7,)]).tolist() == [0, -1]


def test_lists_of_two_levels_are_searched_key_by_key() -> None:
    assert KeyList([("FR",), ("FR", 7)]).positions([("FR", 7), ("FR",), ("FR", 8)]).tolist() == [1, 0, -1]


def test_a_column_of_one_type_is_searched_in_arrow_and_few_keys_of_many_are_not() -> None:
    keys = [(f"store-{i}", i) for i in range(1000)]
    listed = KeyList(keys)
    assert listed.positions(keys[::-1]).tolist() == list(range(999, -1, -1))
    assert "_places" not in vars(listed)
    assert listed.positions(keys[3:5]).tolist() == [3, 4]
    assert "_places" in vars(listed)


def test_combinations_beyond_every_integer_are_told_apart() -> None:
    keys = [
        tuple(int(value) for value in row)
        for row in np.random.default_rng(0).permuted(np.tile(np.arange(300), (8, 1)), axis=1).T
    ]
    assert KeyList(keys).positions(keys[::-1]).tolist() == list(range(299, -1, -1))
