"""scikit-learn's splitters as values of `split=`: taken where rows that are drawn by hash can mean the same."""

import re

import pytest
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, LeaveOneGroupOut, StratifiedKFold

from metamodel.exceptions import InputError
from metamodel.training.options.objects import flat_options


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (StratifiedKFold(3), "cannot be taken. Use GroupKFold, GroupShuffleSplit or LeaveOneGroupOut"),
        (GroupShuffleSplit(3, random_state=1), "has a seed of its own"),
        (GroupShuffleSplit(3, test_size=2), "counts groups, but a share of them is drawn"),
        (GroupShuffleSplit(3, train_size=0.5), "counts groups, but a share of them is drawn"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(splitter, message):
    with pytest.raises(InputError, match=re.escape(message)):
        flat_options({"split": splitter, "split_groups": "customer"})


@pytest.mark.parametrize("splitter", [GroupKFold(3), GroupShuffleSplit(3), LeaveOneGroupOut()], ids=str)
def test_a_splitter_of_groups_needs_their_column(splitter):
    with pytest.raises(InputError, match=r"goes by groups, but split_groups names no column\. Name the column"):
        flat_options({"split": splitter})


@pytest.mark.parametrize("splitter", [GroupKFold(3), GroupShuffleSplit(3), LeaveOneGroupOut()], ids=str)
def test_a_share_beside_a_splitter_is_refused(splitter):
    with pytest.raises(InputError, match=r"^holdout=0\.4 was given beside split="):
        flat_options({"split": splitter, "split_groups": "customer", "holdout": 0.4})
