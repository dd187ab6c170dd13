"""Units fall to the challenger by a hash that anybody can compute, and only ever more of them as the fraction grows."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import InputError
from metamodel.prediction.rollout.assignment import (
    bound_text,
    check_fraction,
    hash_text,
    in_challenger,
    unit_hash,
    unit_hashes,
)

FRACTIONS = st.floats(0, 1)
KEYS = st.lists(st.text(), max_size=20)


@given(KEYS, st.text(max_size=5))
def test_a_unit_has_the_hash_that_the_words_of_the_contract_say(keys, salt):
    heads = [hashlib.sha256(salt.encode() + b"\0" + key.encode()).hexdigest()[:16] for key in keys]
    assert [hash_text(value) for value in unit_hashes(keys, salt).tolist()] == heads
    assert [hash_text(unit_hash(key, salt)) for key in keys] == heads


@given(KEYS, FRACTIONS, FRACTIONS)
def test_a_larger_fraction_only_adds_units(keys, one, other):
    hashes = unit_hashes(keys, "salt")
    low, high = (in_challenger(hashes, fraction) for fraction in sorted((one, other)))
    assert not (low & ~high).any()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), FRACTIONS)
def test_texts_compare_with_the_bound_as_hashes_with_the_fraction(hashes, fraction):
    chosen = in_challenger(np.array(hashes, dtype=np.uint64), fraction)
    assert chosen.tolist() == [hash_text(value) < bound_text(fraction) for value in hashes]
    assert chosen.tolist() == [value < fraction * 2**64 for value in hashes]  # Python compares exactly


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_the_share_of_many_units_is_the_fraction(fraction):
    n = 100_000
    share = in_challenger(unit_hashes([f"[{i}]" for i in range(n)], "salt"), fraction).mean()
    assert abs(share - fraction) < 3 * (fraction * (1 - fraction) / n) ** 0.5


def test_none_and_all_of_the_units_are_fractions_too():
    hashes = np.array([0, 2**64 - 1], dtype=np.uint64)
    assert in_challenger(hashes, 0).tolist() == [False, False]
    assert in_challenger(hashes, 1).tolist() == [True, True]


def test_another_salt_decides_independently():
    keys = [f'["c-{i}"]' for i in range(20_000)]
    one, other = (in_challenger(unit_hashes(keys, salt), 0.5) for salt in ("spring", "summer"))
    assert abs(np.corrcoef(one, other)[0, 1]) < 3 / len(keys) ** 0.5


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), True, "0.1", None])
def test_what_is_no_share_is_refused(fraction):
    with pytest.raises(InputError, match="is no share of the units"):
        check_fraction(fraction)
