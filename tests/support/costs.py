"""What each test takes, as it was measured: those that take long are left out of `make quick`.

``pytest --write-costs`` measures those that it runs anew, and writes the file.
"""

import functools
import json
from collections.abc import Mapping

import pytest
from places import ROOT, TESTS

__all__ = ["Measured", "measured_costs", "takes_long", "write_costs"]

COSTS = TESTS / "costs.json"

# Seconds on a machine that does nothing else: one test in sixteen takes so long, and these take half of all the time.
LONG = 0.25


@functools.cache
def measured_costs() -> dict[str, float]:
    """Seconds of those that take long, by the test's name."""
    costs: dict[str, float] = json.loads(COSTS.read_text(encoding="utf-8"))
    return costs


def takes_long(name: str) -> bool:
    """Whether a test took long when it was measured; new ones did not."""
    return name in measured_costs()


def write_costs(seconds: Mapping[str, float]) -> None:
    """Put what was measured in the place of what was known of the same tests; those of files that are gone go, too."""
    known = {name: cost for name, cost in measured_costs().items() if (ROOT / name.partition("::")[0]).is_file()}
    noted = {name: round(cost, 2) for name, cost in (known | dict(seconds)).items() if cost >= LONG}
    COSTS.write_text(json.dumps(dict(sorted(noted.items())), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


class Measured:
    """Adds up what the tests of a session take, without what they share with others."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._seconds[report.nodeid] = report.duration

    def pytest_sessionfinish(self) -> None:
        write_costs(self._seconds)
