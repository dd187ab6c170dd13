"""Promotion against a real `mlflow server`: killed after every step, two promoters at once, one history."""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow import MlflowClient
from servers import Server

import metamodel
from metamodel.lifecycle import alias_moves
from metamodel.tracking.events import PROMOTION_TAG, Event, VersionTags

WRITES = (
    "set_registered_model_tag",
    "set_model_version_tag",
    "set_registered_model_alias",
    "delete_registered_model_tag",
)

FORK = multiprocessing.get_context("fork")

_numbers = itertools.count()


@pytest.fixture
def sales(tracking: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered model with three versions, of which the first was promoted."""
    monkeypatch.setattr(alias_moves, "LEASE_SECONDS", 1.0)
    name = f"promoted-{next(_numbers)}"
    # Into the server's own database: no test holds this, and through the server it takes half of all requests.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tracking.directory / 'mlflow.db'}")
    MlflowClient().create_registered_model(name)
    for _ in range(3):
        MlflowClient().create_model_version(name, "s3://models/nowhere")
    metamodel.promote(name, 1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.url)
    return name


def events(name: str) -> list[Event]:
    return VersionTags().of(name)


def champion(name: str) -> str:
    return str(MlflowClient().get_registered_model(name).aliases["champion"])


def one_history(name: str) -> list[tuple[str, str]]:
    """Hold the events to be one chain that ends where the alias points; nothing is left of any claim."""
    told = [(event.replaced, event.version) for event in events(name)]
    assert [replaced for replaced, _ in told] == ["", *(version for _, version in told[:-1])], told
    assert told[-1][1] == champion(name)
    assert not [tag for tag in MlflowClient().get_registered_model(name).tags if tag.startswith("metamodel.promoting")]
    version = MlflowClient().get_model_version(name, champion(name))
    recorded = Event.from_json(version.tags[PROMOTION_TAG])
    assert recorded == events(name)[-1]
    return told


def killed_at(step: int, answered: bool, call: Callable[[], Any]) -> bool:
    """Run a call in a process that is killed at its n-th write, before it or when it is done; False where it ended."""

    def run() -> None:
        count = itertools.count(1)
        for method in WRITES:
            _die_at(method, step, answered, count)
        call()
        os._exit(0)

    process = FORK.Process(target=run)
    process.start()
    process.join(200)
    assert process.exitcode in (0, 9)
    return process.exitcode == 9


def _die_at(method: str, step: int, answered: bool, count: Iterator[int]) -> None:
    original = getattr(MlflowClient, method)

    def write(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        last = next(count) == step
        if last and not answered:
            os._exit(9)
        result = original(self, *args, **kwargs)
        if last:
            os._exit(9)
        return result

    setattr(MlflowClient, method, write)


STEPS = [(step, answered) for step in range(1, 6) for answered in (False, True)]


@pytest.mark.parametrize(("step", "answered"), STEPS)
def test_the_same_call_finishes_a_promotion_that_was_killed(sales: str, step: int, answered: bool) -> None:
    assert killed_at(step, answered, lambda: metamodel.promote(sales, 2, expect=1))
    metamodel.promote(sales, 2, expect=1)
    assert one_history(sales) == [("", "1"), ("1", "2")]


@pytest.mark.parametrize(("step", "answered"), STEPS)
def test_another_promoter_comes_after_one_that_was_killed(sales: str, step: int, answered: bool) -> None:
    assert killed_at(step, answered, lambda: metamodel.promote(sales, 2))
    metamodel.promote(sales, 3)
    told = one_history(sales)
    # Whether the one that was killed counts depends on whether it had moved the alias.
    assert told in ([("", "1"), ("1", "3")], [("", "1"), ("1", "2"), ("2", "3")])
    assert (len(told) == 3) is ((step, answered) >= (3, True))


@pytest.mark.parametrize(("step", "answered"), STEPS)
def test_the_same_call_finishes_a_rollback_that_was_killed(sales: str, step: int, answered: bool) -> None:
    metamodel.promote(sales, 2)
    metamodel.promote(sales, 3)
    assert killed_at(step, answered, lambda: metamodel.rollback(sales))
    if (step, answered) == (5, True):  # all was done
        assert champion(sales) == "2"
    else:
        metamodel.rollback(sales)
    assert one_history(sales) == [("", "1"), ("1", "2"), ("2", "3"), ("3", "2")]


def test_a_promotion_has_no_more_writes_than_the_tests_above_kill(sales: str) -> None:
    assert not killed_at(6, False, lambda: metamodel.promote(sales, 2))


@pytest.fixture
def nobody_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A promoter that waits for its turn on a busy machine is none that is dead."""
    monkeypatch.setattr(alias_moves, "LEASE_SECONDS", 120.0)


def together(*calls: Callable[[], Any]) -> list[BaseException | None]:
    """Start calls at the same moment; returns what each raised."""
    barrier, raised = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait()
        try:
            calls[number]()
        except metamodel.MetaModelError as error:
            raised[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised  # type: ignore[return-value]


@pytest.mark.usefixtures("nobody_dies")
@pytest.mark.parametrize("run", range(4))
def test_two_promoters_at_once_come_one_after_the_other(sales: str, run: int) -> None:
    raised = together(lambda: metamodel.promote(sales, 2), lambda: metamodel.promote(sales, 3))
    assert raised == [None, None]
    assert len(one_history(sales)) == 3


@pytest.mark.usefixtures("nobody_dies")
@pytest.mark.parametrize("run", range(3))
def test_of_two_promoters_who_expect_the_same_champion_one_is_refused(sales: str, run: int) -> None:
    raised = together(lambda: metamodel.promote(sales, 2, expect=1), lambda: metamodel.promote(sales, 3, expect=1))
    refused = [error for error in raised if error is not None]
    assert len(refused) == 1
    assert "not at the expected 1" in str(refused[0])
    assert len(one_history(sales)) == 2


@pytest.mark.usefixtures("nobody_dies")
@pytest.mark.parametrize("run", range(3))
def test_the_same_promotion_thrice_at_once_is_one_event(sales: str, run: int) -> None:
    assert together(*[lambda: metamodel.promote(sales, 2)] * 3) == [None] * 3
    assert one_history(sales) == [("", "1"), ("1", "2")]


def test_the_same_promotion_that_ends_before_this_one_claims_the_alias_is_one_event(
    sales: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, calls = alias_moves._claimed, itertools.count()

    def claimed(event: Event, joined: bool) -> str | None:
        if next(calls) == 0:  # this one has seen where the alias points, and that nobody claims it
            metamodel.promote(sales, 2)
        return claim(event, joined)

    monkeypatch.setattr(alias_moves, "_claimed", claimed)
    event, moved = metamodel.promote(sales, 2)
    assert (event, moved) == (events(sales)[-1], False)
    assert one_history(sales) == [("", "1"), ("1", "2")]


def test_the_same_call_beside_a_slow_promoter_leaves_it_its_claim(sales: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = MlflowClient.set_model_version_tag, itertools.count()

    def tag(self: MlflowClient, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if next(calls) == 0:  # before the alias moves: somebody claims it for another version, and the same call comes
            other = Event.now(kind="promote", name=sales, alias="champion", version="3", replaced="1")
            self.set_registered_model_tag(sales, f"metamodel.promoting.champion.{other.id}.0", other.to_json())
            metamodel.promote(sales, 2)

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", tag)
    metamodel.promote(sales, 2)
    assert next(calls) > 1
    assert one_history(sales) == [("", "1"), ("1", "2")]


def test_rolling_back_twice_goes_back_twice_and_not_to_and_fro(sales: str) -> None:
    for version in (2, 3):
        metamodel.promote(sales, version)
    for expected in ("2", "1"):
        event, moved = metamodel.rollback(sales)
        assert (moved, champion(sales)) == (True, expected)
        assert event is not None
        assert event.kind == "rollback"
    with pytest.raises(metamodel.InputError, match="was the first version that had the alias 'champion'"):
        metamodel.rollback(sales)
    assert len(one_history(sales)) == 5


def test_promoting_what_is_champion_already_changes_nothing(sales: str) -> None:
    before = events(sales)
    event, moved = metamodel.promote(sales, 1)
    assert (event, moved) == (before[-1], False)
    assert events(sales) == before


def test_an_alias_that_was_set_by_hand_is_told_and_cannot_be_rolled_back_blindly(sales: str) -> None:
    MlflowClient().set_registered_model_alias(sales, "champion", "3")
    assert metamodel.versions(sales).by_hand == ("champion",)
    with pytest.raises(metamodel.InputError, match=r"Nothing says which version .* 3 replaced"):
        metamodel.rollback(sales)
    metamodel.rollback(sales, 1)
    assert champion(sales) == "1"
    assert events(sales)[-1].replaced == "3"
