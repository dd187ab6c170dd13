"""Every key is found where it stands."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metamodel.bundle.key_index import KeyPlaces, key_index
from metamodel.tables.keys import encode_key


@given(st.lists(st.tuples(st.text(max_size=5), st.integers()), unique=True), st.data())
def test_every_key_is_found_where_it_stands_however_often_it_is_asked_for(keys, data):
    places = KeyPlaces(key_index([encode_key(key) for key in keys]))
    asked = data.draw(st.lists(st.sampled_from([*keys, ("no such group", 1)])))
    expected = [keys.index(key) if key in keys else -1 for key in asked]
    assert places.of(asked).tolist() == expected
    assert places.of(asked).tolist() == expected


def test_a_key_whose_digest_begins_like_anothers_is_told_from_it():
    index = key_index(["[1]"])
    first, second = index[0, 0], index[1, 0]
    alike = np.array([[first, first, first], [second + np.uint64(1), second, second - np.uint64(1)], [7, 8, 9]], "u8")
    assert KeyPlaces(alike).of_encoded(["[2]", "[1]"]).tolist() == [-1, 8]
    assert KeyPlaces(alike[:, [0, 2]]).of([(1,)]).tolist() == [-1]
