"""Ways to split a group's rows, as objects: checked when they are made, and each with its compact form."""

import pytest

from metamodel import Holdout, InputError, KFold, Rolling, Shrinkage, Tuning


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tuning(trials=0), "trials=0 is no number of trials. Use a whole number of at least 1"),
        (lambda: Tuning(tune_seconds=-1), "tune_seconds=-1 is no time limit. Use a number of seconds above 0"),
        (lambda: Holdout(1), "holdout=1 is no share of the rows"),
        (lambda: KFold(1), "split='kfold:1' has fewer than 2 folds"),
        (lambda: KFold("5"), r"folds='5' is no whole number of at least 1. Correct KFold\(folds='5'\)"),
        (lambda: Rolling(3, 0), "horizon=0 is no whole number of at least 1"),
        (lambda: Rolling(3, 4, step=0), "step=0 is no whole number of at least 1"),
        (lambda: Shrinkage("constant"), "shrinkage='constant' takes exactly the argument alpha, not {}"),
        (lambda: Shrinkage("constant", alpha=2), "alpha=2 is no share"),
        (lambda: Shrinkage("strongly"), "shrinkage='strongly' is unknown. Use one of: constant"),
    ],
)
def test_an_object_is_checked_when_it_is_made(make, message):
    with pytest.raises(InputError, match=message):
        make()
