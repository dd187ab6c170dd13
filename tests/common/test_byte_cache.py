"""The cache: one load at a time for each key, never more bytes than its limit, right answers."""

import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.common.byte_cache import ByteCache, process_cache
from metamodel.exceptions import InputError

pytestmark = pytest.mark.tableless


def loader(value, cost=10):
    return lambda: (value, cost)


def test_a_kept_entry_is_loaded_once():
    cache = ByteCache(100)
    assert [cache.get("a", loader(value)) for value in (1, 2)] == [1, 1]


def test_the_entry_used_longest_ago_goes_first():
    cache = ByteCache(20)
    for key in ("a", "b", "a", "c"):
        cache.get(key, loader(key))
    assert [cache.get(key, loader("loaded again")) for key in ("a", "c", "b")] == ["a", "c", "loaded again"]


def test_an_entry_beyond_the_limit_is_handed_out_and_not_kept():
    cache = ByteCache(5)
    assert (cache.get("a", loader(1)), cache.stats()["entries"]) == (1, 0)


def test_a_scan_leaves_the_cache_alone():
    cache = ByteCache(100)
    assert (cache.get("a", loader(1), keep=False), cache.stats()["entries"]) == (1, 0)


def test_a_load_that_fails_is_not_remembered():
    cache = ByteCache(100)

    def fail():
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        cache.get("a", fail)
    assert cache.get("a", loader(1)) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=60), st.integers(1, 100))
def test_bytes_never_exceed_the_limit_and_values_are_right(calls, limit):
    cache = ByteCache(limit)
    for key, cost in calls:
        assert cache.get(key, loader(key, cost)) == key
        assert cache.stats()["bytes"] <= limit
    assert cache.stats()["hits"] + cache.stats()["misses"] == len(calls)


def test_threads_that_ask_for_one_key_wait_for_one_load():
    cache, started, release, loads = ByteCache(100), threading.Event(), threading.Event(), []

    def slow():
        loads.append(1)
        started.set()
        release.wait(100)
        return "child", 10

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "a", slow)
        started.wait(100)
        others = [pool.submit(cache.get, "a", slow) for _ in range(3)]
        release.set()
        assert ([f.result(100) for f in (first, *others)], len(loads)) == (["child"] * 4, 1)


def test_threads_that_wait_for_a_load_share_its_failure():
    cache, started, release = ByteCache(100), threading.Event(), threading.Event()

    def fail():
        started.set()
        release.wait(100)
        raise OSError("disk on fire")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", fail)
        started.wait(100)
        second = pool.submit(cache.get, "a", fail)
        release.set()
        assert [str(future.exception(100)) for future in (first, second)] == ["disk on fire"] * 2


def test_eight_threads_on_a_small_cache_load_each_key_once_at_a_time():
    cache, running, overlaps, lock = ByteCache(50), Counter(), [], threading.Lock()

    def load(key):
        with lock:
            running[key] += 1
            overlaps.append(running[key])
        with lock:
            running[key] -= 1
        return key, 10

    def hammer(seed):
        for i in range(500):
            key = (i * (seed + 1)) % 13
            if cache.get(key, lambda key=key: load(key)) != key or cache.stats()["bytes"] > 50:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(hammer, range(8)))
    assert (max(overlaps), cache.stats()["evictions"] > 0) == (1, True)


def test_models_of_one_process_share_a_cache():
    assert process_cache() is process_cache()


def test_a_forked_process_does_not_inherit_a_lock_that_was_held():
    cache = process_cache()
    held, release = threading.Event(), threading.Event()

    def hold():
        with cache._lock:
            held.set()
            release.wait(200)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(100)
    child = fork_quietly(lambda: process_cache().get("a", loader("answer")) == "answer")
    release.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def fork_quietly(check) -> int:
    """Fork; the child process leaves with 0 where `check` holds. It is ended after 100 seconds at the latest."""
    import signal
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tried here
        child = os.fork()
    if child == 0:
        signal.alarm(100)
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return child


@pytest.mark.parametrize(("value", "limit"), [("2", 2 * 2**20), ("0.5", 2**19), ("", 1024 * 2**20)])
def test_the_limit_is_a_setting_of_the_environment(value, limit):
    program = "from metamodel.common.byte_cache import process_cache; print(process_cache().limit)"
    environment = {k: v for k, v in os.environ.items() if k != "METAMODEL_CACHE_MB"}
    environment |= {"METAMODEL_CACHE_MB": value} if value else {}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert int(run.stdout) == limit


@pytest.mark.parametrize("value", ["much", "inf", "-inf", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, value):
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", None)
    monkeypatch.setenv("METAMODEL_CACHE_MB", value)
    with pytest.raises(InputError, match=f"METAMODEL_CACHE_MB='{value}' is no number of megabytes. Set it to 0"):
        process_cache()


def test_filling_the_room_pushes_nothing_out():
    cache = ByteCache(25)
    for key in ("a", "b", "c"):
        assert cache.get(key, loader(key), keep="if_room") == key
    stats = cache.stats()
    assert {name: stats[name] for name in ("entries", "bytes", "evictions", "refused")} == {
        "entries": 2,
        "bytes": 20,
        "evictions": 0,
        "refused": 1,
    }


def test_what_is_too_large_to_keep_is_counted():
    cache = ByteCache(5)
    cache.get("a", loader(1))
    cache.get("b", loader(1), keep=False)
    assert cache.stats()["refused"] == 1
