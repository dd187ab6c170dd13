"""Rules of a gate: read, checked, and refused in one line that says what was meant."""

import json
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from metamodel.exceptions import InputError
from metamodel.lifecycle.gate import write_default_rules
from metamodel.lifecycle.gate_rules import GateRules, RegressionRule, read_rules


def test_the_rules_of_init_can_be_read_and_name_no_column(tmp_path: Path) -> None:
    rules = read_rules(write_default_rules(tmp_path / "gates.yaml"))
    assert list(rules.columns()) == []
    assert rules.regression == RegressionRule(slices=[], max=0.03, confidence=0.95, min_rows=50)
    assert rules.budget is not None
    assert rules.minimum_functionality


def test_init_does_not_overwrite(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_default_rules(tmp_path / "gates.yaml")
    assert (tmp_path / "gates.yaml").read_text() == "mine"


def test_the_rules_of_the_docs_are_read_as_they_stand(tmp_path: Path) -> None:
    shown = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "gates.yaml").write_text(shown, encoding="utf-8")
    rules = read_rules(tmp_path / "gates.yaml")
    assert rules.invariance[0].tolerance == 1e-9
    named = {column for _, column in rules.columns()}
    assert named == {"country", "store", "promotion", "store_name", "price"}


def test_json_and_a_dict_say_the_same_as_yaml(tmp_path: Path) -> None:
    described = {"floor": {"answered": 0.9}, "invariance": [{"change": {"a": "shuffle"}}]}
    (tmp_path / "rules.json").write_text(json.dumps(described))
    (tmp_path / "rules.yaml").write_text("floor: {answered: 0.9}\ninvariance: [{change: {a: shuffle}}]\n")
    assert read_rules(described) == read_rules(tmp_path / "rules.json") == read_rules(str(tmp_path / "rules.yaml"))


def test_columns_are_those_of_slices_conditions_and_changes() -> None:
    rules = GateRules.of(
        {
            "regression": {"slices": ["country", "country, store"]},
            "minimum_functionality": [{"where": {"promotion": 0}, "predict": ">= 0"}],
            "directional": [{"change": {"price": "+10%"}, "expect": "decrease"}],
        }
    )
    assert [column for _, column in rules.columns()] == ["country", "country", "store", "promotion", "price"]


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"flor": {}}, r"There is no rule 'flor'.* Did you mean 'floor'\?"),
        ({}, "hold no rule, so everything would pass"),
        ([], "The rules are a list"),
        ({"regression": {"slice": []}}, r"regression: there is no 'slice'.* Did you mean 'slices'\?"),
        ({"regression": {"confidence": 95}}, "regression: confidence=95 is no confidence"),
        ({"regression": {"slices": "country"}}, "regression: slices='country' is no list of texts"),
        ({"budget": {"one_row_ms": "fast"}}, "budget: one_row_ms='fast' is no limit"),
        ({"groups": {"worse": 2}}, "groups: worse=2 is no share"),
        ({"floor": {"skill_median": "1.2x"}}, "floor: skill_median='1.2x' is no limit"),
        ({"directional": [{"change": {"a": "+1"}}]}, "directional: expect is missing"),
        ({"directional": [{"change": {"a": "+1"}, "expect": "up"}]}, "directional: expect='up' is unknown"),
        ({"invariance": {"change": {}}}, "invariance is a dict. Give a list"),
        ({"invariance": [{"change": {}}]}, "invariance: change={} is no mapping"),
    ],
)
def test_rules_that_are_none_are_told_in_one_line(described: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_rules(described)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "are malformed"),
        ("a: " + "[" * 1000, "are malformed"),
        ("flor: 1", r"There is no rule 'flor'"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_rules_that_is_none_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "gates.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        read_rules(path)
    assert str(path) in str(raised.value)
