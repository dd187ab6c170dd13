"""A row is in the log by its own values alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metamodel.prediction_log.row_sampling import content_hashes, id_hashes, sampled

CELLS = st.floats(width=32) | st.just(-0.0)
ROWS = st.lists(st.tuples(st.sampled_from(['["a"]', '["b"]', ""]), CELLS, st.none() | st.text(max_size=3)), min_size=1)


def _hashes(rows):
    keys, numbers, texts = zip(*rows, strict=True)
    return content_hashes(keys, [np.array(numbers), np.array(texts, dtype=object)])


@given(ROWS, st.randoms())
@settings(max_examples=60)
def test_a_rows_hash_does_not_depend_on_the_rows_beside_it(rows, random):
    together = _hashes(rows)
    assert [_hashes([row])[0] for row in rows] == together.tolist()
    order = list(range(len(rows)))
    random.shuffle(order)
    assert _hashes([rows[i] for i in order]).tolist() == together[order].tolist()


def test_zeros_and_gaps_hash_alike_whatever_their_bits():
    odd_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert content_hashes([""], [odd_nan]) == content_hashes([""], [np.array([np.nan])])
    assert content_hashes([""], [np.array([-0.0])]) == content_hashes([""], [np.array([0])])


def test_of_many_rows_the_share_is_sampled_and_a_larger_share_only_adds_rows():
    numbers = np.arange(100_000.0)
    for hashes in (content_hashes([""] * 100_000, [numbers]), id_hashes([str(i) for i in range(100_000)])):
        tenth, fifth = sampled(hashes, 0.1), sampled(hashes, 0.2)
        assert abs(tenth.mean() - 0.1) < 3 * (0.09 / 100_000) ** 0.5
        assert not (tenth & ~fifth).any()
        assert sampled(hashes, 1).all()
