"""A gate before planted faults: exactly the rule that is there for it fails, and says so in words."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clocks import Clock
from planted import FEATURES, RULES, Versions, panel, train, weeks

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.lifecycle.gate import GateReport


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return panel()


@pytest.fixture(scope="module")
def versions(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    directory = tmp_path_factory.mktemp("versions")
    champion = train(weeks(table, 0, 92), directory / "champion")
    candidate = train(weeks(table, 0, 100), directory / "candidate")
    return Versions(champion, candidate, weeks(table, 100, 120))


def failed(report: GateReport) -> list[tuple[str, str]]:
    assert report.passed is (not report.failed)
    return [(check.rule, check.check) for check in report.failed]


def words(report: GateReport) -> str:
    return " ".join(check.words for check in report.failed)


def test_without_a_fault_every_rule_holds_and_is_in_the_table(versions: Versions) -> None:
    report = versions.gate()
    assert failed(report) == []
    assert set(report.table["rule"]) == set(RULES)
    assert report.table["verdict"].eq("passed").all()


def test_a_negative_answer_fails_the_minimum_functionality(versions: Versions) -> None:
    def negative(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        lowest = answers["prediction"].nsmallest(3).index
        return answers.assign(prediction=answers["prediction"].where(~answers.index.isin(lowest), -0.1))

    report = versions.gate(fault=negative)
    assert failed(report) == [("minimum_functionality", "predict >= 0 where promotion == 0")]
    assert "-0.1" in words(report)


def test_a_flipped_price_in_three_percent_of_the_groups_fails_the_directional_expectation(
    table: pd.DataFrame, versions: Versions, tmp_path: Path
) -> None:
    """Where the price hardly moves, as in these weeks, no error shows that a group has learnt the wrong sign."""
    flipped = table.groupby(["store", "product"]).ngroup() < 6
    mean = table.groupby(["store", "product"])["price"].transform("mean")
    trained = table.assign(price=table["price"].where(~flipped, 2 * mean - table["price"]))
    candidate = train(weeks(trained, 0, 100), tmp_path / "flipped")
    quiet = weeks(table.assign(price=mean), 100, 120)
    report = Versions(versions.champion, candidate, quiet).gate()
    assert failed(report) == [("directional", "price +10%: decrease")]
    assert "194 of 200 groups; not so" in words(report)


def test_a_country_that_is_ten_percent_worse_fails_the_regression_by_country(versions: Versions) -> None:
    def worse(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        """Add noise that no group of 20 rows shows clearly, but all of a country do."""
        spread = (answers["prediction"] - frame["units"]).groupby([frame["store"], frame["product"]]).transform("std")
        noise = np.random.default_rng(0).normal(0, 0.55, size=len(frame)) * spread
        return answers.assign(prediction=answers["prediction"] + noise.where(frame["country"] == "FR", 0.0))

    report = versions.gate(fault=worse)
    assert failed(report) == [("regression", "mae, by country")]
    assert words(report).startswith("FR +")
    assert "1 of 4 slices" in words(report)


def test_a_feature_that_is_gone_fails_the_schema(table: pd.DataFrame, versions: Versions, tmp_path: Path) -> None:
    candidate = train(weeks(table, 0, 100), tmp_path / "fewer", features=FEATURES)
    report = Versions(versions.champion, candidate, versions.fresh).gate()
    assert failed(report) == [("schema", "removed")]
    assert "1 change: feature 'weekday'" in words(report)


def test_a_feature_of_another_kind_fails_the_schema(table: pd.DataFrame, versions: Versions, tmp_path: Path) -> None:
    kinds = table.assign(promotion=table["promotion"].astype(bool))
    candidate = train(weeks(kinds, 0, 100), tmp_path / "kinds")
    report = Versions(versions.champion, candidate, versions.fresh).gate({"schema": {"removed": 0, "kind_changed": 0}})
    assert failed(report) == [("schema", "kind_changed")]
    assert "feature 'promotion' is boolean, was number" in words(report)


def test_twice_the_latency_fails_the_budget(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, answer = Clock(), MetaModel.predict

    def in_a_millisecond(model: MetaModel, frame: Any, params: Any = None) -> pd.DataFrame:
        clock.sleep(1e-3)
        return answer(model, frame, params)

    monkeypatch.setattr(MetaModel, "predict", in_a_millisecond)
    monkeypatch.setattr(time, "perf_counter", clock)
    rules = {**RULES, "budget": {"one_row_ms": "1.2x"}}
    assert failed(versions.gate(rules)) == []
    report = versions.gate(rules, repeats=2)
    assert failed(report) == [("budget", "one_row_ms")]
    assert words(report) == "2 ms, 2.00 times the champion's 1, surely 2.00 times; at most 1.2 times"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_null_or_infinite_answer_fails_with_its_reason(versions: Versions, value: float) -> None:
    def silent(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        silenced = (frame["store"] == 3) & (frame["promotion"] == 1)
        return answers.assign(prediction=answers["prediction"].where(~silenced.to_numpy(), value))

    report = versions.gate(fault=silent)
    assert failed(report) == [("regression", "mae, answered rows")]
    assert "rows that the champion answers have no answer of the candidate" in words(report)


def test_a_missing_target_fails_what_needs_it_with_its_reason(versions: Versions) -> None:
    report = metamodel.gate(versions.candidate, versions.fresh.drop(columns="units"), versions.champion, RULES)
    assert failed(report) == [("regression", "mae, all rows"), ("groups", "worse")]
    assert "the table has no column 'units', the target" in words(report)


def test_an_invariance_and_a_lost_group_are_told_by_name(
    table: pd.DataFrame, versions: Versions, tmp_path: Path
) -> None:
    fewer = table[~((table["store"] == 5) & (table["product"] == "P002"))]
    candidate = train(weeks(fewer, 0, 100), tmp_path / "lost")
    rules = {"groups": RULES["groups"], "invariance": [{"change": {"price": "+10%"}}]}
    report = Versions(versions.champion, candidate, versions.fresh).gate(rules)
    assert failed(report) == [("groups", "lost"), ("invariance", "price +10%")]
    assert "5 · P002" in words(report)


def test_without_a_champion_rules_that_need_one_say_so_and_pass(versions: Versions) -> None:
    report = metamodel.gate(versions.candidate, versions.fresh, rules={**RULES, "budget": {"one_row_ms": "1.2x"}})
    without = report.table[report.table["words"] == "no champion"]
    assert set(without["rule"]) == {"regression", "groups", "schema", "budget"}
    assert report.passed
    assert "no champion (none was given)" in str(report)


def test_the_same_recipe_on_other_draws_of_the_rows_passes(table: pd.DataFrame, tmp_path: Path) -> None:
    """As in benchmarks/gates.py, which does so a hundred times."""
    random = np.random.default_rng(0)
    fresh = weeks(table, 100, 120)
    for run in range(3):
        paths = [
            train(weeks(table, 0, 100).sample(frac=0.8, random_state=random), tmp_path / f"{side}{run}")
            for side in ("champion", "candidate")
        ]
        report = Versions(paths[0], paths[1], fresh).gate()
        assert failed(report) == [], str(report)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"regression": {"slices": ["cuontry"]}},
            r"column that the rule regression names, 'cuontry'.*'country'\?",
        ),
        ({"invariance": [{"change": {"shop": "shuffle"}}]}, "lacks column that the rule invariance names, 'shop'"),
        ({"floor": {"skill_medain": 0}}, r"floor: there is no figure 'skill_medain'.* Did you mean 'skill_median'\?"),
        ({"regression": {"metric": "accuracy"}}, "regression: metric='accuracy' is unknown for regression"),
        ({"directional": [{"change": {"price": 1}, "expect": "increase", "label": "a"}]}, "is for classifiers"),
    ],
)
def test_rules_that_fit_no_column_or_model_are_bad_input(versions: Versions, rules: Any, message: str) -> None:
    with pytest.raises(metamodel.InputError, match=message):
        versions.gate(rules)


def test_a_table_without_rows_is_bad_input(versions: Versions) -> None:
    with pytest.raises(metamodel.InputError, match="The table has no row"):
        metamodel.gate(versions.candidate, versions.fresh.head(0), versions.champion, RULES)
