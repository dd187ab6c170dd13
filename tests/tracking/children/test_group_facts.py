"""Tags, parameters and metrics of one group."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_tag_name

import metamodel
from metamodel.tracking.children.group_facts import GroupFacts, tag_names


# -------- what is said of a group
@given(st.lists(st.text(max_size=300), unique=True, min_size=1, max_size=6))
def test_every_group_column_has_a_tag_of_its_own_that_mlflow_takes(columns: list[str]) -> None:
    names = tag_names(columns)
    assert list(names) == columns
    assert len(set(names.values())) == len(columns)
    for name in names.values():
        _validate_tag_name(name)
        assert 0 < len(name) <= 250
        assert posixpath.normpath(name) == name
        assert not name.startswith(("mlflow.", "metamodel."))


def test_a_column_with_a_plain_name_keeps_it() -> None:
    assert tag_names(["country", "store id"]) == {"country": "country", "store id": "store id"}


def _facts(result: metamodel.TrainingResult, *, only_children: bool = False) -> GroupFacts:
    return GroupFacts(result.ledger, result.manifest.keys, only_children=only_children)


def test_tags_name_the_group_and_find_its_child_again(sales: metamodel.TrainingResult) -> None:
    facts = _facts(sales)
    tags = {group.key: facts.tags(group) for group in facts}
    assert tags[("FR", "é")].items() >= {"country": "FR", "store": "é", "metamodel.status": "fitted"}.items()
    assert tags[("FR",)]["country"] == "FR"
    assert "store" not in tags[("FR",)]
    assert tags[("DE", "short")].items() >= {"metamodel.status": "skipped"}.items()
    assert tags[("DE", "short")]["metamodel.reason"]
    assert len({entry["metamodel.group"] for entry in tags.values()}) == len(sales.ledger)


def test_parameters_and_metrics_are_those_of_the_ledger(sales: metamodel.TrainingResult) -> None:
    facts = _facts(sales)
    group = next(group for group in facts if group.key == ("FR", "é"))
    row = sales.ledger[sales.ledger["store"] == "é"].iloc[0]
    assert facts.params(group).items() >= {"estimator": row["estimator"], "rows": "8", "random_state": "0"}.items()
    assert facts.metrics(group)["holdout_rmse"] == pytest.approx(row["holdout_rmse"])
    assert "rows" not in facts.metrics(group, but=["rows"])


def test_only_groups_with_a_child_become_models(sales: metamodel.TrainingResult) -> None:
    keys = {group.key for group in _facts(sales, only_children=True)}
    assert ("DE", "short") not in keys
    assert {("DE", "x"), ("FR",), ()} <= keys
