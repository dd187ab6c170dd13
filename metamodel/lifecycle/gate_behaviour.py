"""Rules about how a candidate behaves: the three kinds of tests of CheckList (Ribeiro et al. 2020).

Minimum functionality: answers that it has to give. Invariance: changes that must not move the answers. Directional
expectation: changes that must move them one way. None of them needs a target or a champion.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from metamodel.bundle.display import name_of, number_text
from metamodel.bundle.model import MetaModel
from metamodel.common.arrays import AnyArray
from metamodel.common.messages import count, did_you_mean, listing
from metamodel.exceptions import InputError
from metamodel.lifecycle.gate_conditions import parse_change, parse_condition
from metamodel.lifecycle.gate_rules import DirectionalRule, FunctionalityRule, InvarianceRule
from metamodel.lifecycle.gate_sides import GateCheck, GateRows, Side, gives_probabilities, predicted

__all__ = ["check_labels", "directional_check", "functionality_check", "invariance_check"]

_DETAILS = 20

# A move that is smaller than this, relative to the prediction, is none.
_ROUNDING = 1e-12


def functionality_check(rule: FunctionalityRule, side: Side, rows: GateRows) -> GateCheck:
    """Hold the predictions of some rows to a condition."""
    condition = parse_condition(rule.predict)
    where = np.ones(len(rows.frame), dtype=bool)
    for name, value in (rule.where or {}).items():
        where &= parse_condition(value).holds(rows.frame[name].reset_index(drop=True))
    told = ", ".join(f"{name} {parse_condition(value).text}" for name, value in (rule.where or {}).items())
    check = f"predict {condition.text}" + (f" where {told}" if told else "")
    number = int(where.sum())
    if not number:
        return GateCheck.missing("minimum_functionality", check, "no row of the table is like that", rule.share)
    answers = side.answers["prediction"][where]
    # An infinite prediction is no answer to anybody.
    right = condition.holds(answers) & side.answered[where]
    wrong, nulls = int((~right).sum()), int((~side.answered[where]).sum())
    share = 1 - wrong / number
    examples = "" if not wrong else f": {listing(_wrong_rows(answers[~right], rows), 3)}"
    words = f"{number - wrong:,} of {count(number, 'row')}"
    words += f"; {count(nulls, 'prediction')} null" if nulls else ""
    return GateCheck("minimum_functionality", check, share >= rule.share, words + examples, share, rule.share, number)


def _wrong_rows(answers: pd.Series, rows: GateRows) -> list[str]:
    """Show the first wrong answers; those behind them are empty, and only counted."""
    shown = answers.iloc[:4]
    names = [_name(rows, code) for code in rows.grouping.codes[shown.index.to_numpy()].tolist()]
    texts = [number_text(value) if isinstance(value, float) else str(value) for value in shown.tolist()]
    told = [f"{name} {text}" for name, text in zip(names, texts, strict=True)]
    return [*told, *[""] * (len(answers) - len(told))]


def _name(rows: GateRows, code: int) -> str:
    key = rows.grouping.keys[code]
    return name_of(key) if isinstance(key, tuple) else "no group"


def _changed(change: Mapping[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    """Change columns; what is shuffled together stays together."""
    return frame.assign(**{name: parse_change(value).applied(frame[name]) for name, value in change.items()})


def _told(change: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {parse_change(value).text}" for name, value in change.items())


def invariance_check(rule: InvarianceRule, side: Side, rows: GateRows) -> GateCheck:
    """Change what must not matter, and compare."""
    check = _told(rule.change)
    answers = side.answers["prediction"]
    moved_answers = predicted(side.model, _changed(rule.change, rows.frame))["prediction"]
    there, still_there = answers.notna().to_numpy(), moved_answers.notna().to_numpy()
    both = there & still_there
    moved = np.where(there | still_there, np.inf, 0.0)
    if side.model.manifest.target.task == "regression":
        old, new = (values.to_numpy(dtype=np.float64, na_value=np.nan)[both] for values in (answers, moved_answers))
        with np.errstate(invalid="ignore"):
            moved[both] = np.where(old == new, 0.0, np.abs(new - old) / np.maximum(1.0, np.abs(old)))
    else:
        moved[both] = (answers[both].to_numpy(object) != moved_answers[both].to_numpy(object)).astype(np.float64)
    wrong = moved > rule.tolerance
    largest = float(moved.max(initial=0.0))
    words = f"{int(wrong.sum()):,} of {count(len(moved), 'prediction')} move, by up to {number_text(largest)}"
    if not wrong.any():
        words = "no prediction moves" if largest == 0 else f"no prediction moves by more than {number_text(largest)}"
    return GateCheck("invariance", check, not wrong.any(), words, largest, rule.tolerance, len(moved))


def check_labels(rules: tuple[DirectionalRule, ...], model: MetaModel) -> None:
    """Insist on a label whose probability can go somewhere, of classifiers alone.

    Raises
    ------
    InputError
        A rule names none, or one that there is not, or the candidate gives no probabilities.
    """
    target = model.manifest.target
    for rule in rules:
        if target.task == "regression":
            if rule.label is not None:
                raise InputError(f"directional: label={rule.label!r} is for classifiers. Take it out.")
            continue
        if rule.label not in target.classes:
            raise InputError(
                f"directional: label={rule.label!r} is none of the candidate's classes ({listing(target.classes)}). "
                f"Say whose probability shall move.{did_you_mean(str(rule.label), map(str, target.classes))}"
            )
        if not gives_probabilities(model):
            raise InputError("directional: the candidate gives no probabilities, which could go up or down.")


def directional_check(rule: DirectionalRule, side: Side, rows: GateRows) -> GateCheck:
    """Change what must matter, and see which way each group's mean prediction goes."""
    check = f"{_told(rule.change)}: {rule.expect.replace('_', ' ')}"
    column = "prediction" if rule.label is None else f"probability_{rule.label}"
    after = predicted(side.model, _changed(rule.change, rows.frame), proba=rule.label is not None)
    old, new = (values[column].to_numpy(dtype=np.float64, na_value=np.nan) for values in (side.answers, after))
    both = np.isfinite(old) & np.isfinite(new)
    codes = rows.grouping.codes[both]
    number = np.bincount(codes, minlength=len(rows.grouping.keys))
    if not number.sum():
        return GateCheck.missing("directional", check, "no row is answered before and after", rule.share_of_groups)
    judged = np.flatnonzero(number)
    sums = np.bincount(codes, weights=new[both] - old[both], minlength=len(number))[judged]
    size = np.bincount(codes, weights=np.abs(old[both]), minlength=len(number))[judged]
    moves = np.where(np.abs(sums) <= _ROUNDING * size, 0.0, sums / number[judged])
    right = _goes(rule.expect, moves)
    share = float(right.mean())
    names = [_name(rows, code) for code in judged[~right].tolist()]
    words = f"{int(right.sum()):,} of {count(len(judged), 'group')}"
    words += f"; not so {listing(names, 3)}" if names else ""
    wrong = zip(names[:_DETAILS], moves[~right].tolist(), strict=False)
    details = tuple({"name": name, "move": move} for name, move in wrong)
    passed = share >= rule.share_of_groups
    return GateCheck("directional", check, passed, words, share, rule.share_of_groups, int(both.sum()), details)


def _goes(expected: str, moves: AnyArray) -> AnyArray:
    held: dict[str, AnyArray] = {
        "increase": moves > 0,
        "decrease": moves < 0,
        "no_increase": moves <= 0,
        "no_decrease": moves >= 0,
    }
    return held[expected]
