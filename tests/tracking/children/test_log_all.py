"""Children logged one by one: what is said of them, what happens to them on the way, and what is found again."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner

import metamodel
from metamodel.bundle.references import ReferenceSettings
from metamodel.cli import main
from metamodel.exceptions import InputError, LoggingFailed
from metamodel.flavor.remote.rate_limit import RateLimiter
from metamodel.flavor.remote.throttle import Throttle
from metamodel.flavor.remote.throttled_tracking import tracking_throttle
from metamodel.tracking.children.destination import Destination, Logged
from metamodel.tracking.children.group_facts import Group, GroupFacts
from metamodel.tracking.children.log_all import _duration, log_groups


# -------- the work
@dataclass
class Remembering(Destination):
    """Takes groups without a server; some it refuses."""

    facts: GroupFacts
    refused: frozenset[int] = frozenset()
    taken: list[int] = field(default_factory=list)
    logged: dict[str, Logged] = field(default_factory=dict)
    what: str = "models"
    run_id: str = "r1"

    def log(self, group: Group) -> None:
        if group.number in self.refused:
            raise ValueError("the server said no")
        self.taken.append(group.number)
        self.logged[group.digest] = Logged("m-1", group.child_sha256, complete=True)

    def _listed(self, digest: str = "") -> Iterator[tuple[str, Logged]]:
        yield from self.logged.items()

    def _delete(self, key: str, found: Logged) -> None:
        raise AssertionError(key)


class Many(GroupFacts):
    """Groups of a ledger that is repeated."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __len__(self) -> int:
        return self.groups

    def __iter__(self) -> Iterator[Group]:
        return iter(self.take(range(self.groups)))

    def take(self, numbers: Any) -> list[Group]:
        return [Group(number, (number,), {"sha256": f"{number}", "status": "fitted"}) for number in numbers]


def _throttle(rate: float = 1e9) -> Throttle:
    return Throttle(RateLimiter(rate), 1)


def test_the_cost_is_told_before_the_others_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    destination = Remembering(Many(120))
    log_groups(destination, _throttle(), 4)
    assert sorted(destination.taken) == list(range(120))
    said = re.search(r"logging models: 120 groups, about 0\.0 requests and [\d.]+ s a group: ", capsys.readouterr().err)
    assert said


def test_what_is_there_is_not_logged_again() -> None:
    destination = Remembering(Many(40))
    log_groups(destination, _throttle(), 2)
    before = len(destination.taken)
    log_groups(destination, _throttle(), 2)
    assert len(destination.taken) == before


def test_many_groups_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"several requests for each of 501 groups\. The default, 'bundle'"):
        log_groups(Remembering(Many(501)), _throttle(), 4)
    with warnings.catch_warnings():
        log_groups(Remembering(Many(500)), _throttle(), 4)


def test_groups_that_cannot_be_logged_are_named_and_the_others_stay() -> None:
    destination = Remembering(Many(100), refused=frozenset([7, 60]))
    match = (
        r"^2 of 100 groups could not be logged, so nothing was registered \(\[7\], \[60\]: ValueError: the server said "
        r"no\)\. Run r1 holds 98 of them; log again into it, as with MLFLOW_RUN_ID=r1, "
        r"and only what is missing is sent\.$"
    )
    with pytest.raises(LoggingFailed, match=match):
        log_groups(destination, _throttle(), 4)
    destination.refused = frozenset()
    log_groups(destination, _throttle(), 4)
    assert sorted(destination.taken) == list(range(100))


def test_a_server_that_refuses_all_is_not_asked_for_every_group() -> None:
    destination = Remembering(Many(400), refused=frozenset(range(400)))
    with pytest.raises(LoggingFailed, match=r"Run r1 holds 0 of them"):
        log_groups(destination, _throttle(), 4)
    assert not destination.taken


def test_times_are_shown_roughly() -> None:
    assert [_duration(seconds) for seconds in (0.2, 99, 600, 36_000)] == ["1 s", "99 s", "10 min", "10.0 h"]


def test_no_server_no_limit() -> None:
    assert tracking_throttle(ReferenceSettings(requests_per_second=1)).limiter.interval == 0


def test_an_unknown_mode_is_refused_before_anything_is_logged(sales: metamodel.TrainingResult) -> None:
    with pytest.raises(InputError, match="log_children"):
        metamodel.log_model(sales, log_children="folders")  # type: ignore[arg-type]


def test_the_command_knows_the_modes() -> None:
    required = ["--data", "sales.csv", "--group-by", "store", "--target", "y"]
    result = CliRunner().invoke(main, ["train", *required, "--log-children", "folders"])
    assert result.exit_code == 2
    assert "log_children='folders' is unknown. Use one of: bundle, models, runs." in result.stderr
