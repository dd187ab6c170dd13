"""Calibrate the intervals of all models of a training, and write them into its ledger."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import encoded_keys_of, interval_summary, keys_of
from metamodel.common.group_status import ANSWERED
from metamodel.evaluation.conformal import INTERVAL_COLUMNS, calibrate
from metamodel.prediction.intervals import RADIUS
from metamodel.tables.keys import KeySchema

__all__ = ["with_intervals"]


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
        From `interval_summary`, and what parents' intervals reach on rows of groups without a child.
    """
    if level is None:
        return ledger, pd.DataFrame(), {}
    keys = keys_of(ledger, schema)
    answering = [key for key, status in zip(keys, ledger["status"], strict=True) if status in ANSWERED]
    depth = len(schema.columns)
    without = {key for key in keys if len(key) == depth}.difference(answering) if answering_levels else ()
    calibrated = calibrate(holdouts, answering, level, without)
    columns = calibrated[list(INTERVAL_COLUMNS)].reindex(encoded_keys_of(ledger, schema)).reset_index(drop=True)
    columns = columns.fillna({"interval_rows": 0, "coverage_rows": 0})
    columns = columns.astype({"interval_rows": np.int64, "coverage_rows": np.int64})
    ledger = ledger.assign(**{name: columns[name] for name in INTERVAL_COLUMNS})
    radii = calibrated[["interval_radius"]].set_axis([RADIUS], axis=1)
    covered, rows = (int(calibrated[name].sum()) for name in ("fallback_covered", "fallback_rows"))
    fallback = {"interval_coverage_fallback": covered / rows} if rows else {}
    return ledger, radii, {**interval_summary(ledger, depth), **fallback}
