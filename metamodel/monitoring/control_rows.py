"""Rows that parents answered in a child's place, against those that the children decided.

Where people act on predictions, labels are partly the model's own doing. The control group shows how much, and whether
labels exist at all for what the children did not decide.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from metamodel.common.arrays import AnyArray, BoolArray
from metamodel.common.messages import count
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, PREDICTION
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts, count_window
from metamodel.evaluation.drift.window_rows import WindowRows
from metamodel.prediction.answer_form import CONTROL, TREATED

__all__ = ["ARMS", "arm_sums", "compare_arms", "count_apart", "feedback_words", "in_arm", "sum_arms"]

ARMS: Final = (TREATED, CONTROL)

_FIGURES: Final = ("rows", "labelled", "error", "squared")

# Of each arm what `arm_sums` counts.
_COLUMNS: Final = [f"{figure}_{arm}" for arm in ARMS for figure in _FIGURES]

# With fewer labelled control rows nothing is said of them.
_FEWEST: Final = 30

# With so many groups in both arms their differences say how sure the mean of them is.
_MANY_GROUPS: Final = 30

_SURE: Final = float(norm.ppf(0.975))

# Labels are missing in one arm and not in the other: by so much at least, and this surely.
_GAP: Final = 0.05

_P_GAP: Final = 0.001


def in_arm(variant: Any, arm: str) -> BoolArray:
    """Whether each row is of an arm, shape (n_rows,); `variant` as answers have it."""
    return np.asarray(pd.Series(variant).eq(arm).fillna(False), dtype=bool)


def count_apart(reference: ModelReference, rows: WindowRows, control: BoolArray | None) -> WindowCounts:
    """Count rows, but neither predictions nor errors of the control group: these are no child's.

    Parameters
    ----------
    reference
        In which bins.
    rows
        All of them.
    control
        Which ones are control rows, shape (n_rows,); None for none.
    """
    if control is None or not control.any():
        return count_window(reference, rows)
    labelled = None if rows.labelled is None else rows.labelled & ~control
    counts = count_window(reference, replace(rows, labelled=labelled, outside=np.where(control, -1, rows.outside)))
    if PREDICTION not in rows.features.values:
        return counts
    answers = {PREDICTION: rows.features.values[PREDICTION]}
    texts = {name: rows.features.texts[name] for name in answers if name in rows.features.texts}
    theirs = WindowRows(
        rows.texts,
        rows.codes[control],
        DriftColumns(answers, texts).take(control),
        DriftColumns(),
        None,
        np.full(int(control.sum()), -1, dtype=np.int64),
        None,
        {},
        (),
    )
    return replace(counts, counts=counts.counts - count_window(reference, theirs).counts)


def arm_sums(rows: WindowRows, variant: Any) -> pd.DataFrame:
    """Sum up the absolute errors (of classes: the wrong labels) of each group and arm.

    Returns
    -------
    DataFrame
        Index: encoded keys; of each arm `rows_`, `labelled_`, `error_` (sum) and `squared_`.
    """
    n_groups = len(rows.texts)
    errors = rows.judged.values.get(ABSOLUTE_ERROR, np.zeros(len(rows)))
    sums: dict[str, AnyArray] = {}
    for arm in ARMS:
        inside = in_arm(variant, arm) & (rows.codes >= 0)
        labelled = inside & (rows.labelled if rows.labelled is not None else False)
        weights = (None, errors[labelled], errors[labelled] ** 2)
        totals = [np.bincount(rows.codes[labelled], of_rows, n_groups) for of_rows in weights]
        of_arm = [np.bincount(rows.codes[inside], minlength=n_groups), *totals]
        sums |= {f"{figure}_{arm}": values for figure, values in zip(_FIGURES, of_arm, strict=True)}
    table = pd.DataFrame(sums, index=pd.Index(rows.texts, dtype=object, name="key"), columns=_COLUMNS)
    return table[(table.index != "") & table[[f"rows_{arm}" for arm in ARMS]].any(axis=1)]


def sum_arms(parts: Sequence[pd.DataFrame | None]) -> pd.DataFrame | None:
    """Add up parts; None for none."""
    there = [part for part in parts if part is not None and len(part)]
    return pd.concat(there).groupby(level="key").sum() if there else None


def compare_arms(sums: pd.DataFrame) -> dict[str, Any]:
    """Compare the errors of both arms, group by group, so that the arms' groups need not be alike.

    Returns
    -------
    dict
        Of each arm `rows_`, `labelled_` and `error_`, the mean absolute error in the groups that both have, each
        weighed by its control rows; `difference` (control less treated) and the ends of its 95 % interval, `lower` and
        `upper`; null where there are no labels to say it.
    """
    figures: dict[str, Any] = {
        f"{figure}_{arm}": int(sums[f"{figure}_{arm}"].sum()) for figure in ("rows", "labelled") for arm in ARMS
    }
    nothing = dict.fromkeys((*(f"error_{arm}" for arm in ARMS), "difference", "lower", "upper"))
    both = sums[(sums[f"labelled_{CONTROL}"] > 0) & (sums[f"labelled_{TREATED}"] > 0)]
    weights = both[f"labelled_{CONTROL}"].to_numpy(dtype=np.float64)
    if weights.sum() < _FEWEST:
        return figures | nothing
    weights /= weights.sum()
    means = {arm: (both[f"error_{arm}"] / both[f"labelled_{arm}"]).to_numpy() for arm in ARMS}
    apart = means[CONTROL] - means[TREATED]
    difference = float(weights @ apart)
    width = _SURE * _standard_error(both, weights, apart, difference)
    return {
        **figures,
        **{f"error_{arm}": float(weights @ means[arm]) for arm in ARMS},
        "difference": difference,
        "lower": difference - width,
        "upper": difference + width,
    }


def _standard_error(both: pd.DataFrame, weights: AnyArray, apart: AnyArray, difference: float) -> float:
    """Of the weighted mean difference: by rows, or where rows of a group are alike by groups, whichever is more."""
    variance = np.zeros(len(both))
    for arm in ARMS:
        labelled = both[f"labelled_{arm}"].to_numpy(dtype=np.float64)
        spread = both[f"squared_{arm}"] - both[f"error_{arm}"] ** 2 / labelled
        within = float(spread.sum()) / max(float(labelled.sum()) - len(labelled), 1.0)  # pooled: groups have few rows
        variance += max(within, 0.0) / labelled
    by_rows = float(weights**2 @ variance)
    by_groups = float(weights**2 @ (apart - difference) ** 2) * len(both) / max(len(both) - 1, 1)
    return float(np.sqrt(max(by_rows, by_groups if len(both) >= _MANY_GROUPS else 0.0)))


def feedback_words(figures: dict[str, Any] | None, decided: int, labelled: int) -> list[str]:
    """Say what the control group shows, and warn where labels are the model's own doing.

    Parameters
    ----------
    figures
        From `compare_arms`; None where answers do not say whose they are.
    decided, labelled
        Labelled rows of the window that hold what was answered; all labelled rows.
    """
    if figures is None:
        if not labelled or decided * 2 <= labelled:
            return []
        return [
            f"{decided:,} of {count(labelled, 'label')} are of rows that the model decided, and no row is a control "
            "row: what it causes is not told from what it predicts (--explore)"
        ]
    words = []
    treated, control = (figures[f"labelled_{arm}"] for arm in ARMS)
    if figures["difference"] is not None:
        words.append(
            f"{count(control, 'labelled control row')} err by {figures['error_control']:.4g} on average, treated ones "
            f"of the same groups by {figures['error_treated']:.4g} (difference {figures['lower']:.3g} to "
            f"{figures['upper']:.3g})"
        )
    elif treated:
        words.append(
            f"{count(treated, 'label')} of rows that the model decided, and {control:,} of control rows: too few to "
            "tell what it causes from what it predicts (--explore)"
        )
    shares = [figures[f"labelled_{arm}"] / max(figures[f"rows_{arm}"], 1) for arm in ARMS]
    if abs(shares[0] - shares[1]) >= _GAP and _p_of_shares(figures) < _P_GAP:
        words.append(
            f"{shares[0]:.0%} of the treated rows have a label, and {shares[1]:.0%} of the control rows: which "
            "outcomes are known depends on who decided, and errors are not those of all rows"
        )
    return words


def _p_of_shares(figures: dict[str, Any]) -> float:
    """Two-sided p-value of two arms that are labelled alike."""
    rows, labelled = (
        np.array([figures[f"{name}_{arm}"] for arm in ARMS], dtype=float) for name in ("rows", "labelled")
    )
    share = labelled.sum() / max(rows.sum(), 1.0)
    error = np.sqrt(share * (1 - share) * (1 / np.maximum(rows, 1)).sum())
    apart = abs(np.subtract(*(labelled / np.maximum(rows, 1))))
    return float(2 * norm.sf(apart / error)) if error > 0 and rows.min() > 0 else 1.0
