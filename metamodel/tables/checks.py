"""Look at a training table before anything is fitted, and say what a careful person would ask about.

Nothing here changes the table or the training. Each engine counts in its own way (`TableFacts`); what follows from the
counts is decided here, in the same words.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, did_you_mean, listing, short
from metamodel.exceptions import InputError
from metamodel.tables.equal_rows import EqualRows
from metamodel.tables.feature_columns import column_kind
from metamodel.tables.features import FeatureSchema
from metamodel.tables.keys import GroupKey, KeySchema
from metamodel.tables.text_checks import OddFields, TextFacts, left_out, odd_text, text_facts

__all__ = [
    "ColumnFacts",
    "Finding",
    "TableFacts",
    "copy_findings",
    "findings",
    "kinds_of",
    "no_copies",
    "odd_field_findings",
    "refuse",
    "table_facts",
]

# Two columns are taken for linear copies from this correlation on, if they share this many rows.
COPY_CORRELATION, COPY_ROWS = 1 - 1e-9, 10

# Rows that are looked at first, and tell nearly all columns from copies.
_FIRST_ROWS = 100


@dataclass(frozen=True)
class Finding:
    """Something that is probably wrong with a table.

    Attributes
    ----------
    check
        "schema", "null", "constant", "infinite", "leakage", "keys", "duplicates", "text", "index", "warnings" or
        "stored rows".
    columns
        The columns it is about.
    message
        Fact, evidence and remedy, in one line.
    """

    check: str
    columns: tuple[str, ...]
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class ColumnFacts:
    """Counts of one feature or target column; `copies_target` says that it is the target, or a linear copy of it."""

    present: int
    constant: bool
    infinite: int = 0
    copies_target: bool = False


@dataclass(frozen=True)
class TableFacts:
    """Counts of the columns of a table, and the distinct texts of its group columns.

    `copies` says of a feature in which groups it is the target or a linear copy of it; `texts` counts in features of
    texts; `indexes` are columns without a role that a file brought along as its index.
    """

    columns: Mapping[str, ColumnFacts]
    key_texts: Mapping[str, Collection[str]]
    copies: Mapping[str, Sequence[GroupKey]] = field(default_factory=dict)
    texts: Mapping[str, TextFacts] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()


def table_facts(frame: pd.DataFrame, features: Sequence[str], target: str, group_by: Sequence[str]) -> TableFacts:
    """Count in a table of this machine.

    Parameters
    ----------
    frame
        The training table.
    features, target, group_by
        Its columns.
    """
    spread = _spread(frame[target])
    columns = {name: _column_facts(frame[name], frame[target], spread) for name in features}
    columns[target] = _column_facts(frame[target], None)
    texts = {name: {one for one in frame[name].unique() if isinstance(one, str)} for name in group_by}
    features_of_texts = {name: text_facts(frame[name]) for name in features if column_kind(frame[name]) == "string"}
    return TableFacts(columns, texts, texts=features_of_texts)


def findings(
    facts: TableFacts, target: str, kinds: Mapping[str, str], expected: Mapping[str, str] | None
) -> list[Finding]:
    """Say what is probably wrong.

    Parameters
    ----------
    facts
        Counts of the table.
    target
        Name of the target.
    kinds
        Kind of every column that has a role; see `kinds_of`.
    expected
        What the kinds should be: declared, or those of the previous version; None for no expectation.
    """
    all_findings = [] if expected is None else _schema(kinds, expected)
    for name, column in facts.columns.items():
        all_findings += _column(name, column, name == target)
        if name in facts.copies and not column.copies_target:
            all_findings.append(_copy_in_groups(name, facts.copies[name]))
    if facts.indexes:
        all_findings.append(Finding("index", facts.indexes, left_out(facts.indexes)))
    texts_left = {name: counted for name, counted in facts.texts.items() if kinds.get(name) != "number"}
    odd = {name: odd_text(name, counted) for name, counted in texts_left.items()}
    all_findings += [Finding("text", (name,), said) for name, said in odd.items() if said]
    for name, texts in facts.key_texts.items():
        all_findings += _near_keys(name, texts)
    return all_findings


def kinds_of(keys: KeySchema, features: FeatureSchema) -> dict[str, str]:
    """Kind of every group column and feature, as the manifest records it."""
    return {column.name: column.kind for column in keys.columns} | {one.name: one.kind for one in features.features}


def refuse(found: Sequence[Finding]) -> None:
    """Make an error of findings.

    Raises
    ------
    InputError
        There are any; the message names all of them.
    """
    if found:
        said = " ".join(f"({i}) {one.message}" for i, one in enumerate(found, start=1))
        raise InputError(f"{count(len(found), 'data check')} failed under strict=True: {said}")


def copy_findings(equal: EqualRows, duplicates: str) -> list[Finding]:
    """Say what becomes of exact copies, where that is not what was asked for or what a careful person would do.

    Parameters
    ----------
    equal
        The copies, and whether chance explains them.
    duplicates
        What was asked for.
    """
    if not equal.copies or duplicates == "keep":
        return []
    text = f"{equal.copies:,} of {count(equal.rows, 'row')} are exact copies of another row of their group"
    if equal.are_observations and duplicates == "drop":
        text += ' and are left out (duplicates="drop"), but chance explains them: they look like observations of their '
        text += 'own. Use duplicates="auto".'
    elif not equal.are_observations and duplicates == "auto":
        text += ", more than chance explains, and are left out. Look where they come from; if they are observations of "
        text += 'their own, use duplicates="keep".'
    else:
        return []
    return [Finding("duplicates", (), text)]


def odd_field_findings(odd: Iterable[OddFields]) -> list[Finding]:
    """Say which columns of texts are read as numbers."""
    return [Finding("text", (one.name,), one.finding) for one in odd]


def _spread(target: pd.Series) -> float:
    """Sum the squares of a target's differences from its mean; null where it has none, or holds no numbers."""
    if not _is_number(target):
        return np.nan
    numbers = target.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(all="ignore"):
        return float(np.nansum((numbers - np.nanmean(numbers)) ** 2)) if np.isfinite(numbers).any() else np.nan


def _column_facts(values: pd.Series, target: pd.Series | None, spread: float = np.nan) -> ColumnFacts:
    present = values.dropna()
    # Unhashable values (lists) are refused by the plan before.
    constant = len(present) > 1 and bool((present == present.iloc[0]).all())
    infinite = 0
    if types.is_float_dtype(values.dtype):
        infinite = int(np.isinf(present.to_numpy(dtype=np.float64)).sum())
    copies = target is not None and not constant and not infinite and _copies(values, target, spread)
    return ColumnFacts(len(present), constant, infinite, copies)


def no_copies(x: AnyArray, y: AnyArray, spreads: AnyArray) -> AnyArray:
    """Say of which samples of rows it is certain that there is no linear copy among all rows.

    What the best line leaves over of a few rows is no more than what it leaves over of all of them.

    Parameters
    ----------
    x, y
        Feature and target of some rows, shape (..., n_rows).
    spreads
        Sum of the squares of the target's differences from its mean over all rows, or more; shape (...).

    Returns
    -------
    array of bool
        False where these rows are no proof: they are all alike, or not numbers.

    Examples
    --------
    >>> no_copies(np.array([[1.0, 2, 4], [1, 2, 3]]), np.array([[2.0, 4, 6], [2, 4, 6]]), np.array([8.0, 8])).tolist()
    [True, False]
    """
    with np.errstate(all="ignore"):
        x, y = (values - values.mean(axis=-1, keepdims=True) for values in (x, y))
        xx, xy, yy = (x * x).sum(axis=-1), (x * y).sum(axis=-1), (y * y).sum(axis=-1)
        # Ten times what a copy may leave over: far above what rounding does.
        certain: AnyArray = yy - xy * xy / xx > 20 * (1 - COPY_CORRELATION) * spreads
    return certain


def _copies(values: pd.Series, target: pd.Series, spread: float) -> bool:
    if _is_number(values) and _is_number(target):
        x, y = (numbers.iloc[:_FIRST_ROWS].to_numpy(dtype=np.float64, na_value=np.nan) for numbers in (values, target))
        if no_copies(x, y, np.asarray(spread)):
            return False
    values, target = values.reset_index(drop=True), target.reset_index(drop=True)
    both = (values.notna() & target.notna()).to_numpy()
    if both.sum() < COPY_ROWS:
        return False
    if not _is_number(target):
        # The first rows tell nearly all columns apart; making texts of whole columns is slow.
        return all(
            bool((values[rows].astype(str) == target[rows].astype(str)).all())
            for rows in (np.flatnonzero(both)[:COPY_ROWS], both)
        )
    if not _is_number(values):
        return False
    pair = [numbers[both].to_numpy(dtype=np.float64) for numbers in (values, target)]
    with np.errstate(all="ignore"):  # a constant or infinite target has no correlation
        x, y = ((numbers - numbers.mean()) / (np.abs(numbers - numbers.mean()).max() or 1) for numbers in pair)
        correlation = (x @ y) / np.sqrt((x @ x) * (y @ y))
    return bool(abs(correlation) >= COPY_CORRELATION)


def _is_number(values: pd.Series) -> bool:
    return types.is_numeric_dtype(values.dtype) and not types.is_bool_dtype(values.dtype)


def _column(name: str, facts: ColumnFacts, is_target: bool) -> list[Finding]:
    found = []
    remedy = "Check where it comes from." if is_target else "Leave it out of features, or correct it."
    role = "Target" if is_target else "Feature"
    if not facts.present:
        found.append(Finding("null", (name,), f"{role} {name!r} is null in every row. {remedy}"))
    if facts.constant:
        found.append(Finding("constant", (name,), f"{role} {name!r} has one value in every row. {remedy}"))
    if facts.infinite:
        text = f"{role} {name!r} is infinite in {count(facts.infinite, 'row')}; most estimators fail on such rows."
        found.append(Finding("infinite", (name,), f"{text} Replace the values by nulls, or remove the rows."))
    if facts.copies_target:
        text = f"Feature {name!r} is the target or a linear copy of it, so it tells what it should help to predict."
        found.append(Finding("leakage", (name,), f"{text} Leave it out of features."))
    return found


def _copy_in_groups(name: str, groups: Sequence[GroupKey]) -> Finding:
    text = f"Feature {name!r} is the target or a linear copy of it within {count(len(groups), 'group')}"
    text += f" ({listing(groups, 3)}), where it tells what it should help to predict. Leave it out of features."
    return Finding("leakage", (name,), text)


def _near_keys(name: str, texts: Collection[str]) -> list[Finding]:
    alike: dict[str, list[str]] = defaultdict(list)
    for text in sorted(texts):
        alike["".join(text.split()).casefold()].append(text)
    twins = [same for same in alike.values() if len(same) > 1]
    if not twins:
        return []
    shown = listing([" and ".join(short(text, 30) for text in same[:3]) for same in twins], 5)
    return [
        Finding(
            "keys",
            (name,),
            f"Group column {name!r} has {count(len(twins), 'value')} in spellings that differ only by case or blanks "
            f"({shown}), which makes groups of their own. Spell them alike.",
        )
    ]


def _schema(kinds: Mapping[str, str], expected: Mapping[str, str]) -> list[Finding]:
    changed = {name: f"{name!r}: {expected[name]} → {kinds[name]}" for name in expected if kinds.get(name, "") != ""}
    changed = {name: text for name, text in changed.items() if kinds[name] != expected[name]}
    missing = [name for name in expected if name not in kinds]
    new = [name for name in kinds if name not in expected]
    parts = [
        f"changed {listing(changed.values())}" if changed else "",
        f"missing {listing(f'{name!r}: {expected[name]}' for name in missing)}" if missing else "",
        f"new {listing(f'{name!r}: {kinds[name]}' for name in new)}" if new else "",
    ]
    if not any(parts):
        return []
    text = "; ".join(part for part in parts if part)
    return [
        Finding(
            "schema",
            (*changed, *missing, *new),
            f"The columns are not the expected ones: {text}. Correct the table or features, or expect this schema."
            f"{did_you_mean(missing, new)}",
        )
    ]
