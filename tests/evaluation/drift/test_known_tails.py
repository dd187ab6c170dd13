import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.evaluation.drift.exact_tails import at_least_beta_binomial, at_least_hypergeometric
from metamodel.evaluation.drift.known_tails import KnownTails, TailMemory

pytestmark = pytest.mark.tableless


def test_of_equal_tails_one_is_computed_and_none_again() -> None:
    computed: list[int] = []

    def compute(first: np.ndarray, *_: np.ndarray) -> np.ndarray:
        computed.append(len(first))
        return first / 2

    law = [np.array([1.0, 2.0, 1.0, 1.0])] * 4
    memory = TailMemory(1000)
    assert memory.look_up(law, compute).tolist() == [0.5, 1.0, 0.5, 0.5]
    assert memory.look_up(law, compute).tolist() == [0.5, 1.0, 0.5, 0.5]
    assert computed == [2]


@given(st.integers(0, 2**32), st.integers(1, 4000))
def test_tails_that_share_a_place_are_told_apart(seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    memory = TailMemory(1)  # the smallest has 256 places
    for _ in range(3):
        law = [rng.integers(0, 9, number).astype(np.float64) for _ in range(4)]
        tails = memory.look_up(law, lambda a, b, c, d: a + 10 * b + 100 * c + 1000 * d)
        np.testing.assert_array_equal(tails, law[0] + 10 * law[1] + 100 * law[2] + 1000 * law[3])


@given(st.integers(0, 2**32))
def test_exact_tails_are_the_same_to_the_last_bit_with_a_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = KnownTails(300)
    for _ in range(2):
        rows, before = rng.integers(1, 60, (2, 500))
        count, marked = rng.integers(0, rows + 1), rng.integers(0, before + 1)
        alone = at_least_beta_binomial(count, rows, marked + 1, before - marked + 0.5)
        together = at_least_beta_binomial(count, rows, marked + 1, before - marked + 0.5, known.beta_binomial)
        np.testing.assert_array_equal(together, alone, strict=True)
        fisher = at_least_hypergeometric(count, rows, marked, before)
        again = at_least_hypergeometric(count, rows, marked, before, known.hypergeometric)
        np.testing.assert_array_equal(again, fisher, strict=True)
