"""Prediction intervals by split conformal prediction: one radius a group, from the residuals of held-out rows.

A row's interval is its prediction ± the radius of the model that answered. Of n absolute residuals the radius is the
⌈(n + 1) · level⌉-th smallest: split (inductive) conformal prediction (Papadopoulos, Proedrou, Vovk and Gammerman 2002;
Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018), within categories of rows (Mondrian conformal prediction: Vovk,
Lindsay, Nouretdinov and Gammerman 2003). Where new rows are exchangeable with the held-out ones, at least the share
`level` of them lies inside, and at most 1 / (n + 1) more.

A category is a group. One with few held-out rows borrows: its category is then all groups that share the next shorter
prefix of its key, each with the residuals of its own model, because it is such a model that answers. (What the parent's
model predicted has the parent's errors, on the sample panel ten times as wide.) A parent has a radius from what it held
back itself: of the groups for which it answers, where these have enough rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

import numpy as np
import pandas as pd

from metamodel.exceptions import InvalidKey
from metamodel.frames import AnyArray, Grouping, IntArray
from metamodel.heldout import child_ids
from metamodel.keys import GroupKey, KeySchema, encode_key
from metamodel.ledger import WITH_CHILD, keys_of
from metamodel.planning import INTERVAL_COLUMNS
from metamodel.residuals import Residuals, fewest_rows

__all__ = ["RADIUS", "calibrate", "radii_of_rows", "summarize", "with_intervals"]

# Name of the figure in a bundle.
RADIUS = "radius"
# For so few rows each call of NumPy costs more than a loop.
_FEW_ROWS = 16
_LookUp = Callable[[Sequence[GroupKey | InvalidKey]], AnyArray]
# Stands for rows that nobody answered; no radius is known for it.
_NOBODY = InvalidKey("nobody answered")


def calibrate(
    holdouts: Mapping[int, pd.DataFrame], keys: Sequence[GroupKey], level: float, without: Iterable[GroupKey] = ()
) -> pd.DataFrame:
    """Find every model's radius, and count how many rows such radii cover that did not set them.

    Parameters
    ----------
    holdouts
        Held-out rows of each level's models as `evidence.gather_holdouts` gives them: `key`, `row`, `actual`,
        `predicted`, `time` where there is one, and `child` where the models are parents. Rows without a prediction do
        not count. Weights play no part: coverage is a share of rows.
    keys
        Canonical keys of all groups, of all levels, that have a model.
    level
        Share of rows to cover, 0 < level < 1.
    without
        Groups without a model for which their nearest parent answers. Where enough of its rows are theirs
        (`fewest_rows`), these alone calibrate it and are counted: it is such rows that it will meet.

    Returns
    -------
    DataFrame, index encoded key, in the order of `keys`
        `interval_radius`: NaN where even all groups together have too few rows. `interval_rows`: how many residuals set
        it. `interval_level`: how many columns of the key these rows share; that of the group's own level where it did
        not borrow, null without a radius. `coverage`: share of held-out rows that a radius from other rows of the same
        category covers; those are one random half of the rows for the other half, and with a time the earlier half of
        each group's rows for the later one. `coverage_rows`: on how many of the model's rows that was counted.
        `fallback_covered`, `fallback_rows`: the same of the rows of groups in `without` alone, both as counts.
    """
    models = set(keys)
    answering = {key: parent for key in without if (parent := _parent(key, models)) is not None}
    by_number = dict(zip(child_ids(answering).tolist(), answering.values(), strict=True))
    found = [
        _of_level(holdouts[depth], [key for key in keys if len(key) == depth], level, by_number)
        for depth in sorted({len(key) for key in keys}, reverse=True)
    ]
    return pd.concat(found).loc[list(map(encode_key, keys))]


def _parent(key: GroupKey, models: Set[GroupKey]) -> GroupKey | None:
    return next((key[:level] for level in range(len(key) - 1, -1, -1) if key[:level] in models), None)


def _of_level(
    holdout: pd.DataFrame, models: Sequence[GroupKey], level: float, answering: Mapping[int, GroupKey]
) -> pd.DataFrame:
    residuals = Residuals.of(holdout, models, answering, fewest_rows(level))
    radius, rows, used = residuals.radii(level)
    inside, looked_at = residuals.covered(used, level)
    covered, counted = residuals.per_model(inside), residuals.per_model(looked_at)
    share = np.divide(covered, counted, out=np.full(len(models), np.nan), where=counted > 0)
    columns = (radius, rows, pd.arrays.IntegerArray(used, used < 0), share, counted)
    return pd.DataFrame(
        {
            **dict(zip(INTERVAL_COLUMNS, columns, strict=True)),
            "fallback_covered": residuals.per_model(inside & residuals.fallback),
            "fallback_rows": residuals.per_model(looked_at & residuals.fallback),
        },
        index=list(map(encode_key, models)),
    )


def with_intervals(
    ledger: pd.DataFrame,
    holdouts: Mapping[int, pd.DataFrame],
    schema: KeySchema,
    level: float | None,
    answering_levels: Sequence[int] = (),
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Calibrate all models of a ledger.

    Parameters
    ----------
    ledger
        The ledger; groups without a model get no radius.
    holdouts
        As for `calibrate`, with what will be answered under `predicted`.
    schema
        The group columns.
    level
        As for `calibrate`; None for no intervals.
    answering_levels
        Levels of the parents that answer for groups without a child.

    Returns
    -------
    ledger : DataFrame
        With `INTERVAL_COLUMNS`.
    figures : DataFrame, index encoded key
        The column `RADIUS`, for the bundle.
    summary : dict
        From `summarize`, and what parents' intervals reach on rows of groups without a child.
    """
    if level is None:
        return ledger, pd.DataFrame(), {}
    keys = keys_of(ledger, schema)
    fitted = [key for key, status in zip(keys, ledger["status"], strict=True) if status in WITH_CHILD]
    depth = len(schema.columns)
    without = {key for key in keys if len(key) == depth}.difference(fitted) if answering_levels else ()
    calibrated = calibrate(holdouts, fitted, level, without)
    columns = calibrated[list(INTERVAL_COLUMNS)].reindex(list(map(encode_key, keys))).reset_index(drop=True)
    columns = columns.fillna({"interval_rows": 0, "coverage_rows": 0})
    columns = columns.astype({"interval_rows": np.int64, "coverage_rows": np.int64})
    ledger = pd.concat([ledger, columns], axis=1)
    radii = calibrated[["interval_radius"]].set_axis([RADIUS], axis=1)
    covered, rows = (int(calibrated[name].sum()) for name in ("fallback_covered", "fallback_rows"))
    fallback = {"interval_coverage_fallback": covered / rows} if rows else {}
    return ledger, radii, {**summarize(ledger, depth), **fallback}


def summarize(ledger: pd.DataFrame, depth: int) -> dict[str, float]:
    """Count groups by whose rows set their radius, and the rows that intervals reached; parents are left out.

    Parameters
    ----------
    ledger
        With `INTERVAL_COLUMNS`.
    depth
        Number of group columns.
    """
    children = ledger[(ledger["level"] == depth) & ledger["status"].isin(WITH_CHILD)]
    level = children["interval_level"]
    rows = int(children["coverage_rows"].sum())
    covered = float((children["coverage"] * children["coverage_rows"]).sum())
    return {
        "groups_with_own_interval": int((level == depth).sum()),
        "groups_borrowing_interval": int((level < depth).sum()),
        "groups_without_interval": int(level.isna().sum()),
        **({"interval_coverage": covered / rows} if rows else {}),
    }


def radii_of_rows(grouping: Grouping, answered_by: AnyArray, depth: int, look_up: _LookUp) -> AnyArray:
    """Radius of each row's answer.

    Parameters
    ----------
    grouping
        The rows' groups.
    answered_by
        Shape (n_rows,): level of the model that answered; above `depth` where nobody did.
    depth
        Number of group columns.
    look_up
        Keys of models → radii, NaN for unknown ones.

    Returns
    -------
    array of shape (n_rows,)
        NaN where nobody answered, or who did has no radius.
    """
    if len(answered_by) <= _FEW_ROWS:
        return _of_few(grouping, answered_by.tolist(), depth, look_up)
    radii = np.full(len(answered_by), np.nan)
    for level in np.unique(answered_by).tolist():
        if level <= depth:
            rows = answered_by == level
            radii[rows] = _of_groups(grouping, grouping.codes[rows], level, look_up)
    return radii


def _of_few(grouping: Grouping, answered_by: list[int], depth: int, look_up: _LookUp) -> AnyArray:
    keys = grouping.keys
    asked: list[GroupKey | InvalidKey] = []
    for code, level in zip(grouping.codes.tolist(), answered_by, strict=True):
        key = keys[code]
        asked.append(key[:level] if level <= depth and isinstance(key, tuple) else _NOBODY)
    return look_up(asked)


def _of_groups(grouping: Grouping, codes: IntArray, level: int, look_up: _LookUp) -> AnyArray:
    """Look up the models of one level that answered for groups: each group once, however many rows it has."""
    asked = np.zeros(len(grouping.keys), dtype=bool)
    asked[codes] = True
    keys = [
        key[:level]
        for key, wanted in zip(grouping.keys, asked.tolist(), strict=True)
        if wanted and isinstance(key, tuple)
    ]
    radii = np.full(len(grouping.keys), np.nan)
    radii[asked] = look_up(keys)
    found: AnyArray = radii[codes]
    return found
