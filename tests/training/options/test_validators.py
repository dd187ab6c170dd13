"""What values of options may be: each check takes what it should, and says of all else what it is not."""

import math

import numpy as np
import pytest

from metamodel.training.options.validators import HOLDOUT_SHARE, positive_or_all, seconds, seed, share, switch, whole

pytestmark = pytest.mark.tableless

LEAST_TWO = whole(2, "number of cups", "Use a whole number of at least 2.")
COVER = share(zero=False, what="share to cover", remedy="Use a number between 0 and 1.")

NO_NUMBERS = [True, "1", "", [1], math.nan]


@pytest.mark.parametrize(
    ("check", "taken", "refused", "complaint"),
    [
        (LEAST_TWO, [2, 10**20], [1, 0, -3, 2.0, *NO_NUMBERS], "no number of cups. Use a whole number of at least 2."),
        (COVER, [0.01, 0.999], [0, 0.0, 1, 1.0, -0.5, 7, *NO_NUMBERS], "no share to cover. Use a number between 0"),
        (HOLDOUT_SHARE, [0, 0.0, 0.5], [1, 1.5, -0.1, math.inf, *NO_NUMBERS], "no share of the rows. Use a number fr"),
        (positive_or_all, [-1, 1, 64], [0, -2, 1.0, *NO_NUMBERS], "no process count. Use a positive number, or -1"),
        (seconds, [1, 0.001], [0, -1, math.inf, *NO_NUMBERS], "no time limit. Use a number of seconds above 0, or No"),
        (seed, [0, 2**32 - 1], [-1, 2**32, 1.0, *NO_NUMBERS], "no seed. Use a whole number from 0 to 2**32 - 1."),
        (switch, [True, False], [1, 0, "true", "no", np.True_], "neither true nor false."),
    ],
    ids=["whole", "share", "holdout", "processes", "seconds", "seed", "switch"],
)
def test_a_check_takes_its_values_and_says_of_all_others_what_they_are_not(check, taken, refused, complaint):
    assert [check(value) for value in taken] == [""] * len(taken)
    assert all(check(value).startswith(complaint) for value in refused)


def test_numpy_takes_every_seed_that_is_taken():
    for value in (0, 2**32 - 1):
        assert seed(value) == ""
        np.random.RandomState(value)
    assert seed(2**32) != ""
    with pytest.raises(ValueError, match="Seed must be between"):
        np.random.RandomState(2**32)
