"""Holdouts that leak nothing: which of a group's rows are kept back to judge its child."""

import warnings
from functools import partial

import numpy as np
import pandas as pd

from metamodel.common.arrays import AnyArray, BoolArray, HashArray, IntArray
from metamodel.common.messages import count, short
from metamodel.evaluation.split_scheme import HOLDOUT, Scheme
from metamodel.exceptions import InputError
from metamodel.tables.key_values import ISO_TIMESTAMP
from metamodel.tables.split_groups import SplitGroups

__all__ = [
    "Fold",
    "copies",
    "folds_of",
    "hash_folds",
    "hash_holdout",
    "identities",
    "known_times",
    "rolling_folds",
    "split_hashes",
    "time_holdout",
    "time_order",
]

# Masks of the training rows and of the test rows, each of shape (n_rows,).
Fold = tuple[BoolArray, BoolArray]


def folds_of(
    hashes: HashArray,
    times: AnyArray | None,
    fraction: float,
    scheme: Scheme = HOLDOUT,
    groups: SplitGroups | None = None,
) -> list[Fold]:
    """Split a group's rows into training and test rows, once or several times.

    Parameters
    ----------
    hashes
        From `split_hashes`, shape (n_rows,).
    times
        From `time_order`, shape (n_rows,), or None.
    fraction
        Share that a single holdout keeps back; 0 for none.
    scheme
        How to split.
    groups
        Rows that have to stay together; None where each stands for itself.

    Returns
    -------
    list of Fold
        Empty where nothing is to be kept back, or the rows cannot be split.
    """
    if scheme.kind == "rolling":
        assert times is not None  # TrainingOptions insists on it
        return rolling_folds(times, scheme.folds, scheme.horizon, scheme.step)
    if scheme.kind == "leave_one_group_out":
        assert groups is not None  # TrainingOptions insists on it
        return _balanced_folds(groups, len(groups.hashes))
    if scheme.kind == "kfold":
        return hash_folds(hashes, scheme.folds) if groups is None else _balanced_folds(groups, scheme.folds)
    if fraction == 0:
        return []
    drawn = hashes if groups is None else groups.hashes
    if scheme.kind == "shuffle":
        return [fold for i in range(scheme.folds) for fold in _single(hash_holdout(_drawn_anew(drawn, i), fraction))]
    return _single(hash_holdout(drawn, fraction) if times is None else time_holdout(times, fraction))


def _single(held: BoolArray | None) -> list[Fold]:
    return [] if held is None else [(~held, held)]


def _drawn_anew(hashes: HashArray, draw: int) -> HashArray:
    """Hash once more for every draw but the first, which is that of a single holdout."""
    return pd.util.hash_array(hashes ^ np.uint64(draw)) if draw else hashes


def _balanced_folds(groups: SplitGroups, folds: int) -> list[Fold]:
    """Test every group once, in folds of about equal numbers of rows; of fewer groups than folds each has its own."""
    n_groups = len(np.unique(groups.hashes))
    if n_groups < 2:
        return []
    from sklearn.model_selection import GroupKFold

    masks = np.zeros((min(folds, n_groups), len(groups.hashes)), dtype=bool)
    for mask, (_, tested) in zip(masks, GroupKFold(len(masks)).split(masks[0], groups=groups.hashes), strict=True):
        mask[tested] = True
    return [(~mask, mask) for mask in masks]


def hash_holdout(hashes: HashArray, fraction: float) -> BoolArray | None:
    """Keep back the rows whose hash falls into the first `fraction` of all hashes.

    Parameters
    ----------
    hashes
        From `split_hashes`, shape (n_rows,).
    fraction
        Share to keep back, 0 < fraction < 1.

    Returns
    -------
    ndarray of bool, shape (n_rows,), or None
        True for the rows kept back. Rows that are added later do not move the others. Where chance leaves a side
        empty, the row with the smallest (largest) hash is moved over; None where all rows are equal, or there is only
        one.
    """
    if len(hashes) == 0 or hashes.min() == hashes.max():
        return None
    held = hashes < np.uint64(int(fraction * 2**64))
    if not held.any():
        return hashes == hashes.min()
    if held.all():
        return hashes != hashes.max()
    return held


def hash_folds(hashes: HashArray, folds: int) -> list[Fold]:
    """Test every row once, by the share of all hashes that its own falls into.

    Parameters
    ----------
    hashes
        From `split_hashes`, shape (n_rows,).
    folds
        Number of shares; of few rows some may be empty, and then there are fewer folds.

    Returns
    -------
    list of Fold
        Rows that are added later do not move the others to another fold. Where chance puts all rows into one share, the
        row with the smallest hash has a fold of its own; empty where all rows are equal, or there is only one.
    """
    if len(hashes) == 0 or hashes.min() == hashes.max():
        return []
    shares = hashes // np.uint64(2**64 // folds + 1)
    present = np.unique(shares)
    if len(present) == 1:
        shares = (hashes != hashes.min()).astype(np.uint64)
        present = np.unique(shares)
    return [(shares != share, shares == share) for share in present]


def rolling_folds(times: AnyArray, folds: int, horizon: int, step: int) -> list[Fold]:
    """Backtest: train on everything before an origin, test on the time steps behind it, and move the origin.

    Parameters
    ----------
    times
        From `time_order`, shape (n_rows,). Distinct times are the time steps.
    folds
        How many origins, as far as the rows reach back; the last one tests the latest `horizon` time steps.
    horizon
        How many time steps are tested behind each origin.
    step
        How many time steps lie between two origins; fewer than `horizon` test some rows more than once.

    Returns
    -------
    list of Fold
        The earliest origin first. Every training row is strictly older than every test row; empty where there are not
        more than `horizon` time steps.
    """
    steps, positions = np.unique(times, return_inverse=True)
    starts = [len(steps) - horizon - i * step for i in range(folds)]
    return [
        (positions < start, (positions >= start) & (positions < start + horizon)) for start in starts[::-1] if start > 0
    ]


def identities(hashes: HashArray, children: IntArray | None = None) -> HashArray:
    """Hash whose row it is and what it holds, shape (n_rows,).

    Parameters
    ----------
    hashes
        From `row_hashes`. Two rows with one 64-bit hash are taken for equal.
    children
        Numbers of the groups that rows are of; equal rows of two groups are two observations, and are held back
        independently of each other.
    """
    return hashes if children is None else pd.util.hash_array(hashes ^ pd.util.hash_array(children))


def copies(identities: HashArray, weights: AnyArray | None = None) -> BoolArray:
    """Find exact copies of earlier rows, shape (n_rows,); rows that differ in their weight alone are none.

    Examples
    --------
    >>> copies(np.array([5, 7, 5], dtype=np.uint64)).tolist()
    [False, False, True]
    """
    if weights is not None:
        identities = pd.util.hash_array(identities ^ pd.util.hash_array(weights))
    return _running_numbers(identities, None) > 0


def split_hashes(identities: HashArray, weights: AnyArray | None = None) -> HashArray:
    """Give each of several equal rows a hash of its own, by which it is held back or not, shape (n_rows,).

    The hash of the k-th of equal rows depends on their content and on k alone. Which of them is the k-th does not
    matter, because they are equal (rows that differ in their weight alone are counted by it): the split depends neither
    on the order of the rows nor on rows that are added. And as no two rows share both, each is held back by a draw of
    its own, as in a random split.

    Parameters
    ----------
    identities
        From `identities`.
    weights
        Weights of the rows.
    """
    numbers = _running_numbers(identities, weights)
    spread = pd.util.hash_array(identities + numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.where(numbers == 0, identities, spread)


def _running_numbers(identities: HashArray, weights: AnyArray | None) -> IntArray:
    """Count the rows of each identity from 0, by their weights."""
    order = np.argsort(identities, kind="stable") if weights is None else np.lexsort((weights, identities))
    places = np.arange(len(order))
    starts = np.append(True, np.diff(identities[order]) != 0)[: len(order)]
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = places - np.maximum.accumulate(np.where(starts, places, 0))
    return numbers


def time_order(values: pd.Series, name: str) -> AnyArray:
    """Bring the time column to sortable numbers, shape (n_rows,): numbers as they are, times in microseconds.

    Raises
    ------
    InputError
        A value is missing or is no time.
    """
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        times = pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        # pandas would look anew at each of those that are times. Arrow's may be dates, which know no microseconds.
        are_times = values.dtype.kind == "M" and not isinstance(values.dtype, pd.ArrowDtype)
        times = values if are_times else _read_times(values)
    if bad := int(times.isna().sum()):
        example = values[times.isna().to_numpy()].iloc[0]
        raise InputError(
            f"Time column {name!r} has {count(bad, 'value')} missing or no time (first: {short(example)}). "
            "Correct or remove these rows."
        )
    # In one unit, whatever the column's own is.
    return times.to_numpy() if times.dtype == np.float64 else times.dt.as_unit("us").astype("int64").to_numpy()


def known_times(values: pd.Series, name: str) -> AnyArray:
    """Read a time column as `time_order` does, shape (n_rows,), with NaN where a time is missing; each text once.

    Raises
    ------
    InputError
        A value is no time.

    Examples
    --------
    >>> known_times(pd.Series([104, None, 103]), "week").tolist()
    [104.0, nan, 103.0]
    """
    codes, distinct = pd.factorize(values)
    return np.append(time_order(pd.Series(distinct), name).astype(np.float64), np.nan)[codes]


def _read_times(values: pd.Series) -> pd.Series:
    """Read texts, dates and other objects, NaT where one is no time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "could not infer format": who asks says so, with an example
        read = partial(pd.to_datetime, values, errors="coerce", utc=True, **_format_of(values))
        try:
            return read()
        except TypeError:  # pandas looks for values that come again, of which a list is none
            return read(cache=False)


def _format_of(values: pd.Series) -> dict[str, str]:
    # Without it pandas takes the first text's format for all, and "10:00:00.500" beside "10:00:00" for no time.
    iso = values.dropna().map(lambda value: isinstance(value, str) and ISO_TIMESTAMP.fullmatch(value) is not None)
    return {"format": "ISO8601"} if len(iso) and iso.all() else {}


def time_holdout(times: AnyArray, fraction: float) -> BoolArray | None:
    """Keep back the latest rows: every row for training is strictly older than every row kept back.

    Parameters
    ----------
    times
        From `time_order`, shape (n_rows,).
    fraction
        Share to keep back; rows of one time stay together, so it may become more.

    Returns
    -------
    ndarray of bool, shape (n_rows,), or None
        None where all rows have one time.
    """
    distinct = np.unique(times)
    if len(distinct) < 2:
        return None
    wanted = np.sort(times)[min(int(np.floor(len(times) * (1 - fraction))), len(times) - 1)]
    return times >= max(wanted, distinct[1])
