"""A group's key as people type it."""

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.tables.key_text import key_of_text
from metamodel.tables.keys import KeySchema

AIRPORTS = KeySchema.infer(pd.DataFrame({"airport": ["ATL", "NA"]}), ["airport"])
STORES = KeySchema.infer(pd.DataFrame({"country": ["FR"], "store": [7]}), ["country", "store"])
DAYS = KeySchema.infer(pd.DataFrame({"day": [dt.date(2024, 1, 31)], "open": [True]}), ["day", "open"])


@pytest.mark.parametrize(
    ("text", "schema", "key"),
    [
        ("ATL", AIRPORTS, ("ATL",)),
        ('["ATL"]', AIRPORTS, ("ATL",)),
        ("7", AIRPORTS, ("7",)),
        ("Paris, Texas", AIRPORTS, ("Paris, Texas",)),
        ("FR,7", STORES, ("FR", 7)),
        ("FR, 7", STORES, ("FR", 7)),
        (' ["FR", 7]', STORES, ("FR", 7)),
        ('"Paris, Texas",7', STORES, ("Paris, Texas", 7)),
        ("FR", STORES, ("FR",)),
        ("[]", STORES, ()),
        ("2024-01-31,true", DAYS, (dt.date(2024, 1, 31), True)),
    ],
)
def test_a_key_is_read_as_people_type_it(text: str, schema: KeySchema, key: tuple[Any, ...]) -> None:
    read = key_of_text(text, schema, levels=(1, 0) if schema is STORES else ())
    assert read == key
    assert [type(value) for value in read] == [type(value) for value in key]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FR,7,8", r"has 3 values, but there are 2 group columns \(country, store\)"),
        ("FR", "has 1 value, but there are 2 group columns"),
        ("FR,seven", "Group column 'store' holds integers"),
        ('["FR", "7"]', "Group column 'store' holds integers; the str '7' is none"),
        ('["FR", 7', r"is no JSON: .*Close every bracket"),
    ],
)
def test_what_is_no_key_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        key_of_text(text, STORES)


@given(st.text(min_size=1).filter(lambda text: not text.lstrip().startswith("[")))
def test_any_text_of_one_text_column_is_typed_as_it_is(text: str) -> None:
    assert key_of_text(text, AIRPORTS) == (text,)
