"""`metamodel.gate`: may this version answer in the champion's place? Rules in, a report out."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.display import preformatted
from metamodel.bundle.model import MetaModel
from metamodel.common.messages import count
from metamodel.exceptions import InputError
from metamodel.flavor.load import load_model
from metamodel.flavor.registered import Named, champion_of, named_version
from metamodel.lifecycle.gate_behaviour import (
    check_labels,
    directional_check,
    functionality_check,
    invariance_check,
)
from metamodel.lifecycle.gate_contract import budget_checks, schema_checks
from metamodel.lifecycle.gate_floor import check_floor_names, floor_checks
from metamodel.lifecycle.gate_quality import group_checks, regression_checks, slice_metric
from metamodel.lifecycle.gate_record import record_gate
from metamodel.lifecycle.gate_rules import GateRules, read_rules
from metamodel.lifecycle.gate_sides import GateCheck, GateRows, Side, gives_probabilities
from metamodel.lifecycle.gate_table import gate_table
from metamodel.report.gate_page import render_gate
from metamodel.tables.grouping import check_columns

__all__ = ["GateReport", "gate", "write_default_rules"]

# What `metamodel gate --init` writes, and what is used where no rules are given.
_DEFAULT_RULES = Path(__file__).with_name("gates.yaml")


@dataclass(frozen=True)
class GateReport:
    """What came of all rules.

    Attributes
    ----------
    candidate, against
        The two versions: `uri`, `name`, `version`, `digest`; the second is None where there was no champion.
    checks
        One for each thing that was looked at.
    facts
        `created`, `data`, `rows`, `target`, `group_columns`, `champion` (why there is none).
    """

    candidate: dict[str, Any]
    against: dict[str, Any] | None
    checks: tuple[GateCheck, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every rule holds."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> list[GateCheck]:
        """The rules that do not hold."""
        return [check for check in self.checks if not check.passed]

    @cached_property
    def table(self) -> pd.DataFrame:
        """`rule`, `check`, `value`, `bound`, `rows`, `verdict`, `words`: one row a check."""
        columns = ["rule", "check", "value", "bound", "rows", "verdict", "words"]
        rows = [{**asdict(check), "verdict": _verdict(check)} for check in self.checks]
        return pd.DataFrame(rows, columns=columns).astype({"value": "float64", "bound": "float64"})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form: strict, with null for what is missing or infinite."""
        verdict = {"passed": self.passed, "candidate": self.candidate, "against": self.against, **self.facts}
        checks = [{**asdict(check), "verdict": _verdict(check)} for check in self.checks]
        return _plain({**verdict, "checks": checks})

    def to_json(self) -> str:
        """Write what is kept as `gate.json`; `digest` is the sha256 of this text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def digest(self) -> str:
        """Names this very report."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_html(self) -> str:
        """Make one HTML page, complete and without network."""
        return render_gate(self.to_dict(), self.digest)

    def write(self, directory: str | Path) -> None:
        """Write `gate.json` and `gate.html`."""
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        (path / "gate.json").write_text(self.to_json(), encoding="utf-8")
        (path / "gate.html").write_text(self.to_html(), encoding="utf-8", errors="replace")

    def __str__(self) -> str:
        against = self.against["uri"] if self.against else f"no champion ({self.facts.get('champion')})"
        failed = count(len(self.failed), "rule") + " failed" if self.failed else "every rule holds"
        head = f"gate {'passed' if self.passed else 'FAILED'}: {failed}; {self.candidate['uri']} against {against}"
        lines = [f"{_verdict(check):<6}  {check.rule}: {check.check}: {check.words}" for check in self.checks]
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def _verdict(check: GateCheck) -> str:
    return "passed" if check.passed else "FAILED"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def gate(
    candidate: MetaModel | str | Path,
    data: Any,
    against: MetaModel | str | Path | None = None,
    rules: GateRules | dict[str, Any] | str | Path | None = None,
    *,
    record: bool = True,
) -> GateReport:
    """Hold a version to rules, most of them against the version that answers now.

    Parameters
    ----------
    candidate
        A model, a bundle's directory, or an MLflow URI such as ``models:/sales/8``.
    data
        Rows that neither version was trained on: a table, of Spark too (its rows come to this machine), a path, or the
        name of a sample. With the target in it the errors are compared.
    against
        The champion. None, or an alias that its registered model does not have, is no champion: the rules that need
        one say so, and pass.
    rules
        A file of YAML or JSON, or what it would hold as a dict; by default what ``metamodel gate --init`` writes.
    record
        Whether a candidate that MLflow knows is told: `gate.json` and `gate.html` in its run, and the tags
        `metamodel.gate` ("passed" or "failed") and `metamodel.gate_digest` of its run and its version.

    Returns
    -------
    GateReport
        With `passed`, `table` and `to_html()`.

    Raises
    ------
    InputError
        A model is not there, a rule is none or names a column that the table lacks, or the table is none. Nothing was
        computed or recorded then.
    """
    asked = read_rules(_DEFAULT_RULES if rules is None else rules)
    new, (old, why) = named_version(candidate), champion_of(against)
    model = _opened(candidate, new)
    champion_model = None if old is None else _opened(against, old)
    frame, source = gate_table(data, model.manifest.keys.names)
    _check_rules(asked, model, frame)
    proba = _wants_probabilities(asked, model)
    side = Side.of(new.uri, model, frame, proba=proba)
    champion = None
    if champion_model is not None and old is not None:
        champion = Side.of(old.uri, champion_model, frame, proba=proba and gives_probabilities(champion_model))
    rows = GateRows(frame, model)
    facts = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": source,
        "rows": len(frame),
        "target": model.manifest.target.name,
        "group_columns": list(model.manifest.keys.names),
        "champion": why,
    }
    against_facts = None if old is None or champion_model is None else old.facts(champion_model.bundle.digest)
    checks = _checks(asked, side, champion, rows)
    report = GateReport(new.facts(model.bundle.digest), against_facts, tuple(checks), facts)
    if record:
        record_gate(new, report.passed, report.digest, {"gate.json": report.to_json(), "gate.html": report.to_html()})
    return report


def _opened(model: Any, name: Named) -> MetaModel:
    # By its number, not its alias: that may move while the gate looks.
    return model if isinstance(model, MetaModel) else load_model(name.uri if name.version else model)


def _wants_probabilities(rules: GateRules, model: MetaModel) -> bool:
    if not gives_probabilities(model):
        return False
    losses = rules.regression is not None and rules.regression.metric == "log_loss"
    return losses or bool(rules.directional) or any("log_loss" in name for name in rules.floor)


def _check_rules(rules: GateRules, model: MetaModel, frame: pd.DataFrame) -> None:
    """Insist, before anything is computed, on rules that can be answered."""
    for rule, column in rules.columns():
        check_columns(frame, [column], f"column that the rule {rule} names,")
    check_columns(frame, model.manifest.keys.names, "group column")
    check_floor_names(rules.floor, model.manifest.target.task)
    check_labels(rules.directional, model)
    if rules.regression is not None:
        slice_metric(rules.regression, model)
    if not len(frame):
        raise InputError("The table has no row, so there is nothing to judge by. Give rows that came after training.")


def _checks(rules: GateRules, side: Side, champion: Side | None, rows: GateRows) -> list[GateCheck]:
    checks = list(floor_checks(rules.floor, side, rows))
    if rules.regression is not None:
        checks += regression_checks(rules.regression, side, champion, rows)
    if rules.groups is not None:
        checks += group_checks(rules.groups, rules.regression, (side, champion), rows)
    if rules.schema is not None:
        checks += schema_checks(rules.schema, side, champion)
    if rules.budget is not None:
        checks += budget_checks(rules.budget, side, champion, rows.frame)
    checks += [functionality_check(rule, side, rows) for rule in rules.minimum_functionality]
    checks += [invariance_check(rule, side, rows) for rule in rules.invariance]
    checks += [directional_check(rule, side, rows) for rule in rules.directional]
    return checks


def write_default_rules(path: str | Path) -> Path:
    """Write rules that are sensible for everybody, to be adapted.

    Raises
    ------
    InputError
        There is such a file already.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{target} exists already. Name a file that does not, or edit that one.")
    target.write_text(_DEFAULT_RULES.read_text(encoding="utf-8"), encoding="utf-8")
    return target
