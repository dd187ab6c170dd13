"""A prediction log and what became true, joined and summed part by part.

Memory grows with the labels, the units and the groups, never with the rows of the log.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamodel.common.messages import did_you_mean, listing
from metamodel.evaluation.variant_effects import PAIRED_SUMS
from metamodel.exceptions import InputError
from metamodel.prediction.answer_form import ROLLOUT_VARIANTS
from metamodel.prediction_log.label_rows import LabelRows, LabelSource
from metamodel.prediction_log.log_reader import is_log, logged_columns, read_log
from metamodel.tables import files as tables
from metamodel.tables.dataframes import table_of

__all__ = ["ALL", "GROUPS", "UNKNOWN_SHARE", "LogSums", "Outcome", "sum_log"]

ALL, GROUPS = "all", "groups"

# Of rows that do not say which share of the units the challenger was to have.
UNKNOWN_SHARE = -1.0

_FEATURE = "feature_"

_UNITS = "units of the split"

# What is read of a log in any case, as far as it has it.
_OF_LOG = ("variant", "key", "prediction", "shadow_prediction", "model", "version", "challenger_share")

_UNIT_COLUMNS = {"group": "key", "entity": "entity_hash"}

_OF_LABELS = "_of_labels"

# Sums of parts are put together when there are so many.
_PARTS = 8


@dataclass(frozen=True)
class Outcome:
    """What is compared.

    Parameters
    ----------
    labels
        One row for each known outcome.
    on
        Columns that log and labels have in common, and that name a row.
    column
        Column of the labels: the target, or a figure such as revenue.
    is_error
        Whether it is the target, so that the error of the predictions is compared.
    """

    labels: LabelSource
    on: tuple[str, ...]
    column: str
    is_error: bool = True


@dataclass
class LogSums:
    """What a log comes to.

    Attributes
    ----------
    paired
        Whether both variants answered each row.
    by_kind
        Kind of slice ("all", "groups", "country" ...) → sums: index (slice, cluster) of paired rows, else (slice, unit,
        challenger).
    units
        Units of each version and variant, counted once each; empty of paired rows.
    rows, labelled, unsigned, failed
        Rows of the log; those with an outcome; those without a unit, which are left out where each unit has a variant;
        those that the champion answered in the challenger's place.
    labels_without_row
        Outcomes that are of no row of the log.
    """

    paired: bool
    by_kind: dict[str, pd.DataFrame] = field(default_factory=dict)
    units: pd.DataFrame = field(default_factory=pd.DataFrame)
    rows: int = 0
    labelled: int = 0
    unsigned: int = 0
    failed: int = 0
    labels_without_row: int = 0


def sum_log(log: Any, outcome: Outcome, slices: Sequence[str], unit: str) -> LogSums:
    """Sum a log up.

    Parameters
    ----------
    log
        A table, a file, a folder of Parquet files, or ``delta:PATH``.
    outcome
        What became true.
    slices
        Columns of the labels, or of the log (features without their prefix), or several with commas between them.
    unit
        "entity" (the column `entity_hash`), "group" (`key`), or another column of the log.

    Raises
    ------
    InputError
        A column is missing, an outcome stands twice, or nothing of the log is labelled.
    """
    labels = _Labels(outcome, slices, unit)
    sums: LogSums | None = None
    parts: dict[str, list[pd.DataFrame]] = {}
    for logged in _parts(log, _columns_asked_for(outcome, slices, unit)):
        _check_columns(logged, outcome)
        # What one model alone has answered is no comparison, with a control group or without.
        part = logged[logged["variant"].isin(ROLLOUT_VARIANTS)]
        paired = "shadow_prediction" in part and bool(part["shadow_prediction"].notna().any())
        if sums is None or (paired and not sums.paired):
            parts, sums = {}, LogSums(paired, rows=0 if sums is None else sums.rows)
        joined = _joined(part, labels, outcome, unit, sums)
        of_part = dict(_summed(joined, slices, sums.paired, outcome.labels.columns))
        if not sums.paired:
            of_part[_UNITS] = _split_of(part, unit)
        for kind, table in of_part.items():
            gathered = parts.setdefault(kind, [])
            gathered.append(table)
            if len(gathered) > _PARTS:
                parts[kind] = [_together(gathered)]
    if sums is None or not sums.labelled:
        if sums is not None and sums.unsigned:
            raise InputError(
                "No row of the log names an entity, so that nothing can be compared by entity. Log one (--log-entity), "
                "or say what names the units: --unit COLUMN, or --unit group where whole groups have their model."
            )
        raise InputError(f"No row of the log has an outcome in the labels, joined on {listing(outcome.on)}.")
    sums.labels_without_row = int((~labels.rows.fitted).sum())
    sums.units = _together(parts.pop(_UNITS)) if _UNITS in parts else pd.DataFrame()
    sums.by_kind = {kind: _together(gathered) for kind, gathered in parts.items()}
    return sums


def _parts(log: Any, asked: Sequence[str]) -> Iterator[pd.DataFrame]:
    if not isinstance(log, str | Path):
        yield table_of(log)
    elif is_log(log):  # also while it is written and compacted: each row once
        columns = [name for name in logged_columns(log) if name in asked]
        yield from read_log(log, columns=columns)
    elif Path(log).is_dir():
        files = sorted(path for path in Path(log).rglob("*.parquet") if not path.name.startswith("."))
        if not files:
            raise InputError(f"{str(log)!r} holds no Parquet file. Give the folder of a prediction log.")
        for file in files:
            yield from tables.read_batches(file)
    else:
        yield from tables.read_batches(log)


def _columns_asked_for(outcome: Outcome, slices: Sequence[str], unit: str) -> list[str]:
    """Name the columns of a log, or of labels, that may be needed: a log of all features has many more."""
    sliced = [name.strip() for spec in slices for name in spec.split(",")]
    of_slices = [*sliced, *(f"{_FEATURE}{name}" for name in sliced)]
    return [*outcome.on, *_OF_LOG, outcome.column, *of_slices, _UNIT_COLUMNS.get(unit, unit)]


class _Labels:
    """Outcomes, found by what names a row, and the columns beside them that somebody asks for."""

    def __init__(self, outcome: Outcome, slices: Sequence[str], unit: str) -> None:
        columns = outcome.labels.columns
        if missing := [name for name in (*outcome.on, outcome.column) if name not in columns]:
            raise InputError(
                f"The labels lack {listing(map(repr, missing))} (they have {listing(columns, 12)}). "
                f"Correct --on or --target.{did_you_mean(missing, columns)}"
            )
        asked = _columns_asked_for(outcome, slices, unit)
        others = [name for name in asked if name in columns and name not in outcome.on]
        self.rows = LabelRows(outcome.labels, outcome.on, outcome.column, others)
        if self.rows.doubled()[0]:
            raise InputError(f"An outcome stands twice in the labels, by {listing(outcome.on)}. Keep one of each.")

    def joined(self, part: pd.DataFrame) -> pd.DataFrame:
        """Put the outcomes beside the rows of a part that have one; a label's column that is there twice is renamed."""
        places = self.rows.places(part)
        known = np.flatnonzero(places >= 0)
        self.rows.fitted[places[known]] = True
        labels = self.rows.table.take(places[known])
        labels.columns = [f"{name}{_OF_LABELS}" if name in part.columns else name for name in labels.columns]
        return pd.concat([part.take(known).reset_index(drop=True), labels.reset_index(drop=True)], axis=1)


def _check_columns(part: pd.DataFrame, outcome: Outcome) -> None:
    needed = [*outcome.on, "variant", "key", "prediction"]
    if missing := [name for name in needed if name not in part.columns]:
        raise InputError(
            f"The log lacks {listing(map(repr, missing))} (it has {listing(part.columns, 20)}). "
            "Give a prediction log, or a table that was scored with detail."
        )


def _joined(part: pd.DataFrame, labels: _Labels, outcome: Outcome, unit: str, sums: LogSums) -> pd.DataFrame:
    """Bring the rows that have an outcome to what is summed: unit, key, variant, outcomes of one variant or of both."""
    joined = labels.joined(part)
    sums.rows += len(part)
    sums.failed += int((part["variant"] == "challenger_failed").sum())
    column = outcome.column if outcome.column not in part.columns else f"{outcome.column}{_OF_LABELS}"
    actual = joined[column]
    values = _losses(joined["prediction"], actual) if outcome.is_error else actual.astype(float).to_numpy()
    joined = joined.assign(unit=_units(joined, unit), challenger=joined["variant"] != "champion", value=values)
    if sums.paired:
        other = _losses(joined["shadow_prediction"], actual)
        # Interleaved rows may show the challenger's answer first.
        first = joined["variant"].to_numpy() == "challenger"
        joined = joined.assign(
            champion_loss=np.where(first, other, values), challenger_loss=np.where(first, values, other)
        )
        joined = joined[np.isfinite(joined["champion_loss"]) & np.isfinite(joined["challenger_loss"])]
    else:
        has_unit = joined["unit"].notna()
        sums.unsigned += int((~has_unit).sum())
        joined = joined[has_unit & np.isfinite(joined["value"])]
    sums.labelled += len(joined)
    return joined


def _units(part: pd.DataFrame, unit: str) -> pd.Series:
    column = _UNIT_COLUMNS.get(unit, unit)
    if column == unit and unit not in part:
        raise InputError(f"The log has no column {unit!r} that could name the units.{did_you_mean(unit, part.columns)}")
    return part[column] if column in part else pd.Series(None, index=part.index, dtype=object)


def _split_of(part: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Find the units of a part, labelled or not: whether an outcome is known may depend on the variant."""
    names = [part[name].fillna("").astype(str) if name in part else "" for name in ("model", "version")]
    units = pd.DataFrame({"unit": _units(part, unit), "challenger": part["variant"] != "champion", "rows": 1.0})
    shares = part["challenger_share"].fillna(UNKNOWN_SHARE) if "challenger_share" in part else UNKNOWN_SHARE
    units = units.assign(model=names[0], version=names[1], share=shares)
    return units.groupby(["model", "version", "share", "unit", "challenger"], observed=True)[["rows"]].sum()


def _losses(predicted: pd.Series, actual: pd.Series) -> Any:
    if pd.api.types.is_numeric_dtype(actual) and pd.api.types.is_float_dtype(predicted):
        return (predicted.astype(float) - actual.astype(float)).abs().to_numpy()
    wrong = (predicted.astype(object) != actual.astype(object)).to_numpy(dtype=float)
    return np.where(predicted.isna(), np.nan, wrong)


def _summed(
    joined: pd.DataFrame, slices: Sequence[str], paired: bool, of_labels: Iterable[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Sum a part by each kind of slice."""
    texts: dict[str, Any] = {ALL: pd.Series("all rows", index=joined.index), GROUPS: joined["key"]}
    texts |= {spec: _slice_texts(joined, spec, of_labels) for spec in slices}
    if paired:
        base, changed = joined["champion_loss"].to_numpy(), joined["challenger_loss"].to_numpy()
        sums = (np.ones(len(base)), base, changed, base**2, changed**2, base * changed)
        figures = dict(zip(PAIRED_SUMS, sums, strict=True))
        table, by = pd.DataFrame(figures, index=joined.index).assign(cluster=joined["key"]), ["slice", "cluster"]
    else:
        table = joined[["unit", "challenger"]].assign(rows=1.0, total=joined["value"])
        by = ["slice", "unit", "challenger"]
    for kind, text in texts.items():
        yield kind, table.assign(slice=text).groupby(by, observed=True, dropna=True).sum()


def _slice_texts(joined: pd.DataFrame, spec: str, of_labels: Iterable[str]) -> pd.Series:
    columns = []
    for name in (part.strip() for part in spec.split(",")):
        column = name if name in joined.columns else f"{_FEATURE}{name}"
        if column not in joined.columns:
            meant = did_you_mean(name, [*joined.columns, *of_labels])
            raise InputError(
                f"There is no column {name!r} to slice by, neither in the labels nor among the logged features. "
                f"Log it (--log-features all), or add it to the labels.{meant}"
            )
        columns.append(f"{name} = " + joined[column].astype(str))
    text = columns[0]
    for more in columns[1:]:
        text = text + ", " + more
    return text


def _together(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    every = pd.concat(list(parts))
    return every.groupby(level=list(every.index.names), observed=True).sum()
