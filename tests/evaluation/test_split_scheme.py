"""The words of `split=`: what they mean, and what is said of wrong ones."""

import re

import pytest

from metamodel.evaluation.split_scheme import Scheme
from metamodel.exceptions import InputError

pytestmark = pytest.mark.tableless


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("holdout", Scheme()),
        ("kfold:5", Scheme("kfold", 5)),
        ("shuffle:3", Scheme("shuffle", 3)),
        ("leave_one_group_out", Scheme("leave_one_group_out")),
        ("rolling:folds=3,horizon=4,step=2", Scheme("rolling", 3, 4, 2)),
        ("rolling:horizon=4,folds=3", Scheme("rolling", 3, 4, 4)),
    ],
)
def test_every_form_is_understood(text, scheme):
    assert Scheme.parse(text) == scheme


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kfolds:5", 'split=\'kfolds:5\' is unknown. Use "holdout", "kfold:5", "shuffle:5", '),
        ("holdout:0.3", "split='holdout:0.3' is unknown."),
        ("kfold", "split='kfold' is unknown."),
        ("shuffle:0", "split='shuffle:0' draws no holdout. Use at least shuffle:1."),
        ("leave_one_group_out:2", "split='leave_one_group_out:2' is unknown."),
        ("kfold:five", "split='kfold:five' is unknown."),
        ("kfold:1", "split='kfold:1' has fewer than 2 folds. Use at least kfold:2."),
        ("rolling", "split='rolling' is unknown."),
        ("rolling:3", "split='rolling:3' is unknown."),
        ("rolling:folds=3", "split='rolling:folds=3' does not say horizon."),
        ("rolling:folds=3,horizon=0", "sets horizon to 0. Use whole numbers of at least 1."),
        ("rolling:folds=3,horizon=2,gap=1", "takes folds, horizon, step, each once."),
        ("rolling:folds=3,horizon=2,folds=4", "takes folds, horizon, step, each once."),
        (5, "split=5 is unknown."),
    ],
)
def test_a_wrong_form_is_one_clear_line(text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Scheme.parse(text)
