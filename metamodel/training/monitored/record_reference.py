"""Record, of all groups at once, what later rows are compared with; carried groups keep what they had.

Features and target are those of the training rows, predictions and errors those of held-out rows, of models that had
not seen them. No row is kept: deciles, counts and commonest categories are.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from metamodel.bundle.ledger_queries import encoded_keys_of
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME, read_drift, write_drift
from metamodel.common.arrays import AnyArray
from metamodel.common.group_status import ANSWERED
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.evaluation.drift.drift_columns import DriftColumns, hash_categories
from metamodel.evaluation.drift.drift_features import drift_features
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION, TARGET, DriftReference
from metamodel.tables.grouping import group_rows
from metamodel.training.carrying.joining import Carrying
from metamodel.training.plan import Plan

__all__ = ["record_reference"]

_LOG = logging.getLogger(__name__)


def record_reference(
    directory: Path,
    plan: Plan,
    data: pd.DataFrame,
    ledger: pd.DataFrame,
    holdout: pd.DataFrame,
    carrying: Carrying | None = None,
) -> None:
    """Write the reference of the groups with a child into an unfinished bundle.

    Parameters
    ----------
    directory
        The bundle's directory.
    plan
        What was trained.
    data
        The whole table.
    ledger
        Says which groups have a child, or are answered by the pooled model.
    holdout
        Held-out rows of the groups: `key`, `actual`, `predicted`, and `time` where there is one.
    carrying
        What is taken over from the version before.
    """
    started = time.perf_counter()
    children = ledger[(ledger["level"] == len(plan.keys.columns)) & ledger["status"].isin(ANSWERED)]
    keys = encoded_keys_of(children, plan.keys)
    earlier = None if carrying is None else read_drift(carrying.previous)
    place = {} if earlier is None else {key: i for i, key in enumerate(earlier[0])}
    carried: set[str] = set() if carrying is None else set(carrying.child_keys)
    taken_over = [key for key in keys if key in place and key in carried]
    new = [key for key in keys if key not in place or key not in carried]
    reference = _built(plan, data, holdout, new)
    if earlier is not None and taken_over:
        rows = np.array([place[key] for key in taken_over], dtype=np.int64)
        reference = DriftReference.concat([earlier[1].take(rows), reference])
    write_drift(directory, [*taken_over, *new], reference)
    size = (directory / DRIFT_NAME).stat().st_size
    _LOG.info("Reference of %d groups: %.1f MB, %.1f s.", len(keys), size / 2**20, time.perf_counter() - started)


def _built(plan: Plan, data: pd.DataFrame, holdout: pd.DataFrame, keys: Sequence[str]) -> DriftReference:
    number = pd.Index(np.array(keys, dtype=object))
    rows = data[data[plan.options.target].notna()]
    grouping = group_rows(rows, plan.keys)
    codes = number.get_indexer(grouping.texts)[grouping.codes].astype(np.int64)
    if len(keys) < len(grouping.keys):  # an update: the columns of the other groups need not be made
        of_these = codes >= 0
        rows, codes = rows[of_these], codes[of_these]
    columns, _ = drift_features(rows, plan.features.features)
    _add_target(columns, rows[plan.options.target], plan)
    reference = build_reference(columns, codes, len(keys), _times(rows, plan))
    held = holdout[holdout["predicted"].notna() & holdout["actual"].notna()]
    of_row = number.get_indexer(held["key"].astype(object)).astype(np.int64)
    times = held["time"].to_numpy() if "time" in held else None
    return reference.beside(build_reference(_of_held_out(held, plan), of_row, len(keys), times))


def _times(rows: pd.DataFrame, plan: Plan) -> AnyArray | None:
    name = plan.options.time_column
    return None if name is None else np.asarray(pd.factorize(rows[name], sort=True)[0])


def _add_target(columns: DriftColumns, values: pd.Series, plan: Plan) -> None:
    if plan.spec.task == "regression":
        columns.values[TARGET] = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        columns.values[TARGET], columns.texts[TARGET] = hash_categories(values.astype(object))


def _of_held_out(held: pd.DataFrame, plan: Plan) -> DriftColumns:
    columns = DriftColumns()
    if plan.spec.task == "regression":
        actual, predicted = (held[name].to_numpy(dtype=np.float64) for name in ("actual", "predicted"))
        columns.values[PREDICTION] = predicted
        columns.values[ERROR] = actual - predicted
        columns.values[ABSOLUTE_ERROR] = np.abs(actual - predicted)
        return columns
    columns.values[PREDICTION], columns.texts[PREDICTION] = hash_categories(held["predicted"].astype(object))
    actual, _ = hash_categories(held["actual"].astype(object))
    columns.values[ABSOLUTE_ERROR] = (actual != columns.values[PREDICTION]).astype(np.float64)
    return columns
