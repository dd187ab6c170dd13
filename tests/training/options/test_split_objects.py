"""Ways to split a group's rows, as objects: checked when they are made, and each with its compact form."""

import re

import pytest

from metamodel import Holdout, InputError, KFold, Rolling, Shrinkage, Tuning
from metamodel.evaluation.split_scheme import Scheme


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


@pytest.mark.parametrize(
    ("split", "scheme"),
    [
        (Holdout(0.3), Scheme("holdout")),
        (KFold(), Scheme("kfold", folds=5)),
        (KFold(4), Scheme("kfold", folds=4)),
        (Rolling(3, 4), Scheme("rolling", folds=3, horizon=4, step=4)),
        (Rolling(3, 4, step=2), Scheme("rolling", folds=3, horizon=4, step=2)),
    ],
    ids=repr,
)
def test_the_compact_form_is_read_as_what_the_object_says(split, scheme):
    assert Scheme.parse(split.text) == scheme


@pytest.mark.parametrize("share", [0, 0.0, 0.999])
def test_a_share_of_the_rows_may_be_held_back_or_none(share):
    assert Holdout(share).share == share


@pytest.mark.parametrize("share", [1, -0.1, "0.2", True, None, float("nan")], ids=repr)
def test_what_is_no_share_is_refused_with_its_value(share):
    with pytest.raises(InputError, match=rf"^holdout={re.escape(repr(share))} is no share of the rows"):
        Holdout(share)
