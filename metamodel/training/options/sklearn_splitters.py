"""scikit-learn's splitters of groups as values of `split=`: the plain options that say the same."""

from typing import Any

from metamodel.common.messages import short
from metamodel.exceptions import InputError

__all__ = ["flat_splitter", "is_splitter"]


def is_splitter(value: Any) -> bool:
    """Whether a value of `split` is an object of scikit-learn's."""
    return type(value).__module__.startswith("sklearn.")


def flat_splitter(splitter: Any) -> dict[str, Any]:
    """Say `split`, and where it matters `holdout`, in the place of a splitter.

    Parameters
    ----------
    splitter
        An object of scikit-learn's.

    Raises
    ------
    InputError
        It is none of those that go by groups, or asks for what rows that are drawn by their hash cannot have: a seed of
        its own, or a number of groups.

    Examples
    --------
    >>> from sklearn.model_selection import GroupKFold, GroupShuffleSplit, LeaveOneGroupOut
    >>> flat_splitter(GroupKFold(4)), flat_splitter(LeaveOneGroupOut())
    ({'split': 'kfold:4'}, {'split': 'leave_one_group_out'})
    >>> flat_splitter(GroupShuffleSplit(3, test_size=0.25))
    {'split': 'shuffle:3', 'holdout': 0.25}
    """
    name = type(splitter).__name__
    if name not in ("GroupKFold", "GroupShuffleSplit", "LeaveOneGroupOut"):
        raise InputError(
            f"split={short(splitter)} cannot be taken. Use GroupKFold, GroupShuffleSplit or LeaveOneGroupOut, "
            'metamodel\'s own Holdout, KFold or Rolling, or a text such as "kfold:5".'
        )
    if getattr(splitter, "random_state", None) is not None:
        raise InputError(
            f"split={short(splitter)} has a seed of its own, but rows are drawn by the seed of the whole training. "
            "Give train(..., random_state=) instead."
        )
    if name == "GroupKFold":
        return {"split": f"kfold:{splitter.n_splits}"}
    if name == "LeaveOneGroupOut":
        return {"split": "leave_one_group_out"}
    return {"split": f"shuffle:{splitter.n_splits}", "holdout": _share(splitter)}


def _share(splitter: Any) -> float:
    size = 0.2 if splitter.test_size is None else splitter.test_size
    if splitter.train_size is not None or not isinstance(size, float):
        raise InputError(
            f"split={short(splitter)} counts groups, but a share of them is drawn. Set test_size to a share such as "
            "0.2, and leave train_size out."
        )
    return size
