"""Gates of classifiers, of models whose rows others answer, and of tables with weights and odd values."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted import Planted
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge

import metamodel


def labelled(seed: int = 0) -> pd.DataFrame:
    """Six groups whose label depends on x."""
    random = np.random.default_rng(seed)
    x = random.normal(size=1200)
    group = np.arange(1200) % 6
    label = np.where(x + random.normal(0, 0.5, size=1200) > 0, "yes", "no")
    return pd.DataFrame({"group": group, "half": group % 2, "x": x, "label": label})


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classifier") / "bundle"
    options: dict[str, Any] = {"features": ["x"], "n_jobs": 1, "output_dir": path, "pooled": False, "prune": False}
    return metamodel.train(labelled(), "group", "label", LogisticRegression(), **options).bundle_path


def failed(report: Any) -> list[str]:
    return [f"{check.rule}: {check.check}" for check in report.failed]


RULES: dict[str, Any] = {
    "floor": {"accuracy": 0.7, "log_loss": 0.6},
    "regression": {"metric": "log_loss", "slices": ["half"], "max": 0.05},
    "groups": {"worse": 0.02},
    "schema": {"removed": 0},
    "minimum_functionality": [{"where": {"x": "> 2"}, "predict": "yes", "share": 0.9}, {"predict": ["yes", "no"]}],
    "directional": [{"change": {"x": "+1"}, "expect": "increase", "label": "yes"}],
}


def test_a_classifier_is_judged_by_its_labels_and_probabilities(classifier: Path) -> None:
    report = metamodel.gate(classifier, labelled(1), classifier, RULES)
    assert failed(report) == []
    checks = report.table.set_index("check")
    assert checks.loc["accuracy", "value"] > 0.8
    assert checks.loc["log_loss, by half", "value"] == 0
    assert checks.loc["x +1: increase", "words"] == "6 of 6 groups"


def test_of_bundles_on_disk_nothing_is_told_to_mlflow_and_no_store_is_made(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert metamodel.gate(classifier, labelled(1), classifier, RULES).passed
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_wrong_more_often_are_a_regression_of_the_accuracy(classifier: Path) -> None:
    def wrong(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        chosen = np.random.default_rng(0).random(len(frame)) < 0.1
        return answers.assign(prediction=answers["prediction"].where(~chosen, "no"))

    rules = {"regression": {"slices": ["half"]}}
    report = metamodel.gate(Planted(classifier, wrong), labelled(1), classifier, rules)
    assert "regression: accuracy, all rows" in failed(report)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"regression": {"metric": "mae"}}, "metric='mae' is unknown for classification"),
        (
            {"directional": [{"change": {"x": 1}, "expect": "increase"}]},
            "label=None is none of the",
        ),
        ({"directional": [{"change": {"x": 1}, "expect": "increase", "label": "yess"}]}, r"Did you mean 'yes'\?"),
    ],
)
def test_rules_that_are_not_for_labels_are_bad_input(classifier: Path, rules: Any, message: str) -> None:
    with pytest.raises(metamodel.InputError, match=message):
        metamodel.gate(classifier, labelled(1), classifier, rules)


def numbers(groups: range) -> pd.DataFrame:
    group = np.repeat(list(groups), 60)
    x = np.tile(np.linspace(0, 1, 60), len(groups))
    return pd.DataFrame({"group": group, "x": x, "weight": np.tile([1.0, 0.0], len(group) // 2), "y": group + x})


def trained(table: pd.DataFrame, path: Path, estimator: Any = None, **options: Any) -> Path:
    given = {"features": ["x"], "n_jobs": 1, "output_dir": path, "pooled": False, "prune": False, **options}
    return metamodel.train(table, "group", "y", estimator or Ridge(), **given).bundle_path


def test_rows_that_a_parent_answers_are_told_from_those_of_a_child(tmp_path: Path) -> None:
    table = numbers(range(10))
    champion = trained(table, tmp_path / "a", unknown="fallback")
    candidate = trained(table[table["group"] != 4], tmp_path / "b", unknown="fallback")
    rules = {"groups": {"lost": 0.2, "fallback_rate_up": 0.05}}
    report = metamodel.gate(candidate, table, champion, rules)
    assert failed(report) == ["groups: fallback_rate_up"]
    assert "10.0% of the rows are answered by a parent or nobody, 0.0% before" in str(report)
    assert "1 of 10 groups that had a model before have none now: 4" in str(report)


def test_rows_of_weight_zero_do_not_count(tmp_path: Path) -> None:
    table = numbers(range(4))
    paths = [trained(table, tmp_path / name, sample_weight="weight") for name in "ab"]

    def wrong(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        return answers.assign(prediction=answers["prediction"] + 9 * (frame["weight"].to_numpy() == 0))

    report = metamodel.gate(Planted(paths[1], wrong), table, paths[0], {"regression": {"max": 0.0}})
    assert failed(report) == []
    assert report.checks[0].rows == 120


def test_group_columns_that_differ_fail_what_compares_groups_with_the_reason(tmp_path: Path) -> None:
    table = numbers(range(4))
    champion, candidate = (
        trained(rows, tmp_path / name) for name, rows in zip("ab", (table, text(table)), strict=True)
    )
    report = metamodel.gate(candidate, text(table), champion, {"groups": {"lost": 0, "worse": 0.1}})
    assert failed(report) == ["groups: lost", "groups: worse"]
    assert "the group columns differ (group integer before, group string now)" in str(report)


def text(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(group=table["group"].map("g{}".format))


def test_a_figure_that_no_training_has_made_fails_with_its_reason(tmp_path: Path) -> None:
    path = trained(numbers(range(3)), tmp_path / "a", DummyRegressor(), holdout=0)
    report = metamodel.gate(path, numbers(range(3)), rules={"floor": {"skill_median": 0, "interval_coverage": 0.8}})
    assert failed(report) == ["floor: skill_median", "floor: interval_coverage"]
    assert "the candidate's ledger does not have it (train with a holdout)" in str(report)
    assert "the candidate has no intervals" in str(report)


def test_infinities_and_missing_values_are_null_in_json(tmp_path: Path) -> None:
    path = trained(numbers(range(3)), tmp_path / "a")

    def infinite(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
        changed = not frame["x"].equals(numbers(range(3))["x"])
        return answers.assign(prediction=np.inf) if changed else answers

    rules = {"invariance": [{"change": {"x": "+1"}}], "floor": {"skill_median": "<= 9"}}
    report = metamodel.gate(Planted(path, infinite), numbers(range(3)), rules=rules)
    checks = {check["check"]: check for check in report.to_dict()["checks"]}
    assert checks["x +1"]["value"] is None
    assert "Infinity" not in report.to_json()


def test_where_a_few_unlike_groups_say_nothing_sure_no_end_of_an_interval_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(5), 40)
    x = random.normal(size=200)
    table = pd.DataFrame({"group": group, "x": x, "y": 2.15**group * (2 + random.normal(0, 1, 200))})
    options: dict[str, Any] = {"features": ["x"], "n_jobs": 1, "pooled": False, "prune": False}
    paths = [
        metamodel.train(rows, "group", "y", Ridge(), output_dir=tmp_path / name, **options).bundle_path
        for name, rows in (("before", table), ("now", table.assign(y=-table["y"])))
    ]
    report = metamodel.gate(paths[1], table, paths[0], {"regression": {}, "groups": {"worse": 0.02}})
    words = report.table.set_index("check")["words"]
    assert words["mae, all rows"].endswith("% (200 rows)")
    assert failed(report) == ["groups: worse"]
