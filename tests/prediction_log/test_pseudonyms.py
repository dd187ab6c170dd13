"""Whom a row is about, under a name that only the key's holder can make."""

import numpy as np
import pandas as pd

from metamodel.prediction_log.pseudonyms import entity_text, pseudonym, pseudonyms


def test_one_entity_has_one_pseudonym_however_it_was_sent_and_none_without_a_value():
    values = {"customer": [7, 7.0, np.int64(7), "7", None, float("nan"), pd.NA]}
    names = pseudonyms(["customer"], values, "secret", 7)
    assert len({*names[:3]}) == 1
    assert names[3] not in (None, names[0])
    assert names[4:] == [None, None, None]
    assert pseudonyms(["customer"], {}, "secret", 2) == [None, None]


def test_another_key_gives_another_pseudonym():
    assert pseudonym(entity_text(["c-1"]), "a") != pseudonym(entity_text(["c-1"]), "b")
