"""Whom a row is about, under a name that only the key's holder can make."""

import datetime as dt
from uuid import UUID

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from metamodel.prediction.rollout.units import EntityColumn, entity_units
from metamodel.prediction_log.pseudonyms import entity_text, pseudonym, pseudonyms


def test_one_entity_has_one_pseudonym_however_it_was_sent_and_none_without_a_value():
    values = {"customer": [7, 7.0, np.int64(7), "7", None, float("nan"), pd.NA]}
    names = pseudonyms(["customer"], values, "secret", 7)
    assert len({*names[:3]}) == 1
    assert names[3] not in (None, names[0])
    assert names[4:] == [None, None, None]
    assert pseudonyms(["customer"], {}, "secret", 2) == [None, None]


@given(
    value=st.one_of(
        st.none(), st.text(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes(), st.uuids(),
        st.lists(st.integers(), max_size=2),
    ),
    many=st.booleans(),
)  # fmt: skip
def test_the_log_and_rollouts_know_the_same_entity(value: object, many: bool) -> None:
    rows = [value] * (20 if many else 1)
    text = entity_text([value])
    assert set(pseudonyms(["customer"], {"customer": rows}, "s", len(rows))) == {pseudonym(text, "s") if text else None}
    units = entity_units([EntityColumn("customer")], {"customer": rows}, len(rows))
    assert {units.texts[code] for code in units.codes} == {text}


def test_a_fraction_and_a_list_are_nobody_and_a_uuid_is_its_text() -> None:
    number = UUID("12345678123456781234567812345678")
    assert entity_text([7.5]) == entity_text([[1]]) == ""
    assert entity_text([number]) == entity_text([str(number)])
    assert entity_text([dt.datetime(2026, 3, 2)]) == entity_text([dt.date(2026, 3, 2)]) == '["2026-03-02"]'


def test_another_key_gives_another_pseudonym():
    assert pseudonym(entity_text(["c-1"]), "a") != pseudonym(entity_text(["c-1"]), "b")
