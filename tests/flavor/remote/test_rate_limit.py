"""How often a server is asked: the turns of threads, processes and machines."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clocks import Clock, limiter
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import ChildUnavailable
from metamodel.flavor.remote import throttle as throttling
from metamodel.flavor.remote.rate_limit import MachineTurns, RateLimiter, first_delay
from metamodel.flavor.remote.throttle import throttle_for
from metamodel.tables.keys import GroupKey, encode_key

pytestmark = [pytest.mark.slow, pytest.mark.tableless]


@given(st.floats(0.5, 200), st.lists(st.floats(0, 0.5), min_size=1, max_size=30))
def test_no_two_turns_are_closer_than_the_interval(rate: float, pauses: list[float]) -> None:
    turns, (limits, clock) = [], limiter(rate)
    for pause in pauses:
        clock.sleep(pause)
        limits.wait("key")
        turns.append(clock.now)
    assert np.all(np.diff(turns) >= 1 / rate - 1e-9)


def test_a_pause_holds_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, clock = limiter(100)
    limits.wait()
    limits.pause(3)
    limits.wait()
    assert clock.now >= 3


def test_fifty_workers_on_fifty_machines_stay_below_the_limit_in_the_first_second() -> None:
    # Twenty requests a second for all of them, so each has 0.4 a second.
    for fleet in range(200):
        arrivals = np.array([_first_turn(50, encode_key((fleet, worker))) for worker in range(50)])
        assert np.sum(arrivals < 1) <= 20
        assert np.histogram(arrivals, bins=np.arange(0, 6.5, 0.1))[0].max() <= 8  # no heap anywhere


@given(st.sampled_from([1, 2, 4, 5, 10, 20]), st.integers(0, 10**6))
def test_machines_whose_share_is_a_whole_number_keep_the_limit_in_every_second(machines: int, fleet: int) -> None:
    arrivals = np.sort([moment for machine in range(machines) for moment in _turns(machines, (fleet, machine), 4)])
    assert np.max(np.searchsorted(arrivals, arrivals + 1 - 1e-6) - np.arange(len(arrivals))) <= 20


def _turns(processes: int, key: GroupKey, seconds: float) -> list[float]:
    """Turns of one process that never rests."""
    limits, clock = limiter(20 / processes)
    turns = []
    while clock.now < seconds:
        limits.wait(encode_key(key))
        turns.append(clock.now)
    return turns


def _first_turn(processes: int, key: str) -> float:
    limits, clock = limiter(20 / processes)
    limits.wait(key)
    return clock.now


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=100))
def test_the_processes_of_a_machine_are_below_the_limit_in_every_second(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[float]
) -> None:
    directory, clock = tmp_path_factory.mktemp("turns"), Clock()
    processes = [MachineTurns(directory, "server", 20, clock) for _ in range(50)]
    turns = []
    for number, pause in enumerate(pauses):
        clock.sleep(pause)
        turns.append(clock.now + processes[number % 50].take(longest=100))
    assert np.all(np.diff(turns) >= 1 / 20 - 1e-9)


def test_real_processes_of_a_machine_take_turns(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom metamodel.flavor.remote.rate_limit import MachineTurns\n"
        "turns = MachineTurns(Path(sys.argv[1]), 'server', 20, clock=lambda: 1000.0)\n"
        "print([turns.take(longest=100) for _ in range(25)])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    taken = sorted(turn for process in processes for turn in json.loads(process.communicate(timeout=240)[0]))
    np.testing.assert_allclose(taken, np.arange(75) / 20)  # none twice, none left out


def test_whoever_clears_the_directory_stops_no_turns(tmp_path: Path) -> None:
    turns = MachineTurns(tmp_path / "turns", "server", 20)
    shutil.rmtree(tmp_path / "turns")
    assert [turns.take(longest=1) <= 0.05 for _ in range(2)] == [True, True]


def test_a_full_disk_leaves_a_process_its_own_part_of_the_rate(tmp_path: Path) -> None:
    clock, machine = Clock(), MachineTurns(tmp_path, "server", 20)
    limits = RateLimiter(20, clock, clock.sleep, machine)

    def full(*_: object) -> float:
        raise OSError(28, "No space left on device")

    machine._move = full  # type: ignore[method-assign]
    limits.pause(1)
    limits.wait()
    assert clock.now >= 1


def test_a_fork_in_the_middle_of_a_turn_keeps_nobody_waiting(tmp_path: Path) -> None:
    program = (
        "import os, sys, threading, time\nfrom pathlib import Path\n"
        "from metamodel.flavor.remote.rate_limit import MachineTurns\n"
        "forked = []\n"
        "def clock():\n"
        "    if armed and not forked:\n"
        "        forked.append(os.fork())\n"
        "        if not forked[0]:\n"
        "            time.sleep(600)\n"
        "            os._exit(0)\n"
        "    return time.time()\n"
        "armed = []\n"
        "turns = MachineTurns(Path(sys.argv[1]), 'server', 20, clock)\n"
        "armed.append(1)\n"
        "turns.take(1)\n"
        "taker = threading.Thread(target=turns.take, args=(1,), daemon=True)\n"
        "taker.start()\n"
        "taker.join(200)\n"
        "os.kill(forked[0], 9)\n"
        "print(taker.is_alive())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=250, check=True).stdout == "False\n"


def test_a_retry_after_holds_the_other_processes_too(tmp_path: Path) -> None:
    one, other = (MachineTurns(tmp_path, "server", 20, Clock()) for _ in range(2))
    one.pause(3)
    assert other.take(longest=2) == pytest.approx(3)  # and is not taken
    assert [other.take(longest=5), one.take(longest=5)] == pytest.approx([3, 3.05])


def test_a_process_does_not_wait_for_others_longer_than_its_patience(tmp_path: Path) -> None:
    clock = Clock()
    limits = RateLimiter(20, clock, clock.sleep, MachineTurns(tmp_path, "server", 20, clock))
    MachineTurns(tmp_path, "server", 20, clock).pause(60)
    with pytest.raises(ChildUnavailable, match="busy with other processes for 60 s more"):
        limits.wait("key", longest=10)
    assert clock.now < 1


def test_a_slow_rate_of_its_own_is_no_reason_to_give_up(tmp_path: Path) -> None:
    clock = Clock()
    limits = RateLimiter(0.1, clock, clock.sleep, MachineTurns(tmp_path, "server", 20, clock))
    limits.wait("key", longest=2)
    limits.wait("key", longest=2)
    assert clock.now >= 10


def test_a_lock_that_is_held_for_ever_costs_one_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, machine = Clock(), MachineTurns(tmp_path, "server", 20)
    limits = RateLimiter(20, clock, clock.sleep, machine)
    monkeypatch.setattr("metamodel.flavor.remote.rate_limit._LONGEST_LOCK", 0.05)
    with FileLock(f"{machine._path}.lock"):
        for _ in range(20):
            limits.wait()
        assert limits._machine is None


@pytest.mark.parametrize("ending", ["", ".lock"])
def test_a_link_in_the_place_of_a_turn_is_refused_and_what_it_leads_to_stays(ending: str, tmp_path: Path) -> None:
    directory = tmp_path / "turns"
    turns = MachineTurns(directory, "server", 5.0)
    (tmp_path / "precious").write_text("precious")
    (place,) = (path for path in directory.iterdir() if path.suffix == ending)
    place.unlink()
    place.symlink_to(tmp_path / "precious")
    with pytest.raises(PermissionError, match="is a link, or no file"):
        turns.take(1.0)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_moment_from_before_the_machine_was_started_does_not_count(tmp_path: Path) -> None:
    late, early = Clock(), Clock()
    late.sleep(100_000)
    MachineTurns(tmp_path, "server", 20, late).take(longest=1)
    assert MachineTurns(tmp_path, "server", 20, early).take(longest=1) == 0


def test_where_nothing_can_be_written_a_process_keeps_the_rate_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(throttling, "_limiters", {})
    assert throttle_for("server", 500, 1).call("key", lambda: 7) == 7


def test_the_first_delay_is_the_same_in_every_process() -> None:
    assert first_delay('["FR",7]', 1.0) == pytest.approx(0.8889288474163505)


def test_a_pause_of_others_is_not_waited_for_longer_than_the_patience() -> None:
    limits, clock = limiter(100)
    limits.pause(60)
    with pytest.raises(ChildUnavailable, match="left alone for 60 s more"):
        limits.wait("key", longest=10)
    assert clock.now == 0


def test_the_brief_stop_only_the_brief() -> None:
    limits, clock = limiter(100)
    limits.give_up(2)
    assert (limits.given_up(2), limits.given_up(120)) == (True, False)
    limits.give_up(120)
    limits.give_up(2)
    assert limits.given_up(120)
    clock.sleep(31)
    assert not limits.given_up(2)


def test_what_is_broken_alone_is_left_alone_alone() -> None:
    limits, clock = limiter(100)
    began = limits.now()
    clock.sleep(1)
    limits.answered()  # to somebody else
    limits.give_up(120, "broken", began)
    assert (limits.given_up(120), limits.given_up(120, "broken")) == (False, True)
    limits.give_up(120, "broken", limits.now())
    assert limits.given_up(120)
