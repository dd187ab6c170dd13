"""What promotion insists on: gates, approvals, expectations; bad input changes nothing."""

import hashlib
import itertools
import json
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

import metamodel
from metamodel.exceptions import GateFailed
from metamodel.flavor.registered import Named
from metamodel.lifecycle.gate_record import record_gate
from metamodel.tracking.events import VersionTags

_numbers = itertools.count()


@pytest.fixture
def sales() -> str:
    """A registered model with three versions; each belongs to a run of its own, and the first is the champion."""
    name, client = f"insists-{next(_numbers)}", MlflowClient()
    client.create_registered_model(name)
    for _ in range(3):
        with mlflow.start_run() as run:
            client.create_model_version(name, "s3://models/nowhere", run_id=run.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")
    return name


def gated(name: str, version: str, *, passed: bool = True, against: str | None = "1") -> str:
    """Record a gate of a version; returns its digest."""
    judged = None if against is None else {"name": name, "version": against}
    text = json.dumps({"passed": passed, "against": judged})
    run_id = MlflowClient().get_model_version(name, version).run_id
    digest = hashlib.sha256(text.encode()).hexdigest()
    named = Named(f"models:/{name}/{version}", name, version, run_id)
    record_gate(named, passed, digest, {"gate.json": text})
    return digest


def state(name: str) -> Any:
    model, client = MlflowClient().get_registered_model(name), MlflowClient()
    versions = {v.version: dict(v.tags) for v in client.search_model_versions(f"name = '{name}'")}
    return dict(model.aliases), dict(model.tags), versions


@pytest.mark.parametrize("options", [{"require_gate": True}, {"auto": True}])
def test_a_gate_that_was_passed_against_the_champion_lets_a_version_through(sales: str, options: Any) -> None:
    digest = gated(sales, "2")
    event, moved = metamodel.promote(sales, 2, **options)
    assert moved
    assert event is not None
    assert (event.gate, event.replaced) == (digest, "1")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (None, "has passed no gate. Run: metamodel gate"),
        ({"passed": False}, "has failed its gate; gate.html in run"),
        ({"against": "3"}, r"has passed a gate against insists-\d+ 3, but the alias points at version 1 now"),
        ({"against": None}, "has passed a gate against no champion, but the alias points at version 1 now"),
    ],
)
@pytest.mark.parametrize("options", [{"require_gate": True}, {"auto": True}])
def test_without_such_a_gate_nothing_is_changed(sales: str, gate: Any, message: str, options: Any) -> None:
    if gate is not None:
        gated(sales, "2", **gate)
    before = state(sales)
    with pytest.raises(GateFailed, match=message):
        metamodel.promote(sales, 2, **options)
    assert state(sales) == before


def test_a_report_that_is_not_the_one_that_was_tagged_counts_as_none(sales: str) -> None:
    gated(sales, "2")
    run_id = MlflowClient().get_model_version(sales, "2").run_id
    MlflowClient().log_text(run_id, json.dumps({"passed": True, "against": {}}), "gate.json")
    with pytest.raises(GateFailed, match="is another report"):
        metamodel.promote(sales, 2, require_gate=True)


def test_an_approval_may_be_given_with_the_promotion_or_before_it_in_the_page(sales: str) -> None:
    with pytest.raises(metamodel.InputError, match=r"Nobody has approved .* metamodel\.approved"):
        metamodel.promote(sales, 2, require_approval=True)
    event, _ = metamodel.promote(sales, 2, require_approval=True, approved_by="ann", note="looks fine")
    assert event is not None
    assert (event.approved_by, event.note) == ("ann", "looks fine")
    assert MlflowClient().get_model_version(sales, "2").tags["metamodel.approved"] == "ann"

    MlflowClient().set_model_version_tag(sales, "3", "metamodel.approved", "bob")
    event, _ = metamodel.promote(sales, 3, require_approval=True)
    assert event is not None
    assert (event.approved_by, event.replaced) == ("bob", "2")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("9",), {}, r"has no version 9 \(it has 3, 2, 1\)"),
        (("2",), {"expect": 3, "approved_by": "ann"}, "points at version 1, not at the expected 3"),
        (("2",), {"alias": "challenger", "expect": 1}, "is not set, not at the expected 1"),
        (("2",), {"alias": "v2"}, "MLflow does not take the alias 'v2'"),
        (("2",), {"auto": True, "approved_by": "ann"}, "--auto means that nobody approves"),
        (("2",), {"note": "why"}, "A note belongs to an approval"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(sales: str, arguments: Any, options: Any, message: str) -> None:
    before = state(sales)
    with pytest.raises(metamodel.InputError, match=message) as raised:
        metamodel.promote(sales, *arguments, **options)
    assert "\n" not in str(raised.value)
    assert state(sales) == before


@pytest.mark.parametrize("call", [metamodel.promote, metamodel.rollback])
def test_a_model_that_is_not_there_is_told_by_its_name(call: Any) -> None:
    with pytest.raises(metamodel.InputError, match="There is no registered model 'nobody'"):
        call("nobody", 1)


def test_aliases_have_histories_of_their_own(sales: str) -> None:
    metamodel.promote(sales, 2, "staging")
    metamodel.promote(sales, 3, "staging")
    metamodel.promote(sales, 2)
    metamodel.rollback(sales, alias="staging")
    told = [(event.alias, event.replaced, event.version) for event in VersionTags().of(sales)]
    assert told == [("staging", "", "2"), ("staging", "2", "3"), ("champion", "1", "2"), ("staging", "3", "2")]
