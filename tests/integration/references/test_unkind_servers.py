"""A server that wants to be spared, is broken or is gone; and what stays on disk."""

import math
import os
import signal
import time
from collections import Counter
from pathlib import Path

import forked_programs
import numpy as np
import pandas as pd
import pytest
from reference_stores import FAST, GROUPS, TEMPLATE, Registered

import metamodel
from metamodel.flavor.remote.rate_limit import RateLimiter
from metamodel.tracking.references.reference_model import write_references

pytestmark = [pytest.mark.server, pytest.mark.tableless]


@pytest.mark.usefixtures("empty_cache")
def test_scoring_stays_under_the_limit_and_loses_nothing(registered: Registered, tmp_path: Path) -> None:
    settings = metamodel.ReferenceSettings(requests_per_second=14, patience_seconds=60)
    some = registered.rows[registered.rows["store"] < 10]
    bundle = write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=settings, pin=True)
    proxy = registered.proxy
    proxy.take()
    proxy.limit, proxy.fails, proxy.cut = 20, 6, 5

    answers = metamodel.load_model(bundle).predict(some)

    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], registered.expected[some.index], rtol=1e-9)
    assert {0, -1, 503} <= {status for _, _, status in proxy.requests}
    assert 429 not in {status for _, _, status in proxy.requests}
    assert proxy.busiest_second() <= 20
    done = Counter(path for _, path, status in proxy.requests if status == 0)
    assert max(done[path] for path in done if path.endswith(("model.pkl", "MLmodel"))) == 1


@pytest.mark.usefixtures("empty_cache")
def test_a_retry_after_is_heard(registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, heard = registered.proxy, []
    pause = RateLimiter.pause

    def noted(limiter: RateLimiter, seconds: float) -> None:
        pause(limiter, seconds)
        heard.append((time.monotonic(), limiter._paused_until))

    monkeypatch.setattr(RateLimiter, "pause", noted)
    some = registered.rows[registered.rows["store"] < 4]
    # Faster than the server allows: it says 429 with Retry-After: 1, and everybody waits.
    proxy.limit = 5
    write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=FAST)
    refusals = [moment for moment, _, status in proxy.requests if status == 429]
    assert refusals
    told, until = heard[0]
    assert until >= refusals[0] + 1
    # What the other threads have under way at that moment still arrives, however late.
    meanwhile = [moment for moment, _, _ in proxy.requests if told < moment < until]
    assert len(meanwhile) < FAST.concurrency
    assert max(moment for moment, _, _ in proxy.requests) >= until


@pytest.mark.usefixtures("empty_cache")
def test_a_dead_server_fails_the_rows_and_is_not_asked_for_every_group(registered: Registered, tmp_path: Path) -> None:
    some = registered.rows[registered.rows["store"] < 20]
    settings = metamodel.ReferenceSettings(requests_per_second=500, patience_seconds=1)
    bundle = write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=settings, pin=True)
    registered.proxy.broken_until = math.inf
    registered.proxy.take()

    answers = metamodel.load_model(bundle).predict(some, {"detail": True})

    assert set(answers["status"]) == {"failed"}
    assert answers["error"].str.contains("cannot be loaded").all()
    asked = {path for _, path, _ in registered.proxy.requests}
    assert len(asked) < 10


@pytest.mark.usefixtures("empty_cache")
def test_a_child_whose_files_are_broken_stops_no_other(registered: Registered, tmp_path: Path) -> None:
    some = registered.rows[registered.rows["store"] < 20]
    # Time enough, on a busy machine too, that others are answered while the one fails: then it alone is given up.
    settings = metamodel.ReferenceSettings(requests_per_second=500, patience_seconds=8)
    bundle = write_references(tmp_path / "b", TEMPLATE, some, "store", "y", keys=some, settings=settings, pin=True)
    registered.proxy.unavailable = "/0/model.pkl"  # the server answers all that is asked beside it

    model = metamodel.load_model(bundle, cache_bytes=10**8)
    answers = model.predict(some)["status"]
    registered.proxy.take()
    again = model.predict(some)["status"]

    failing = some["store"] == 0
    assert set(answers[failing]) == set(again[failing]) == {"failed"}
    assert set(answers[~failing]) == set(again[~failing]) == {"child"}
    assert not registered.proxy.take()  # and is left alone itself for half a minute


def test_the_disk_cache_stays_in_bounds_and_temporary_directories_stay_empty(
    registered: Registered, referring: str, tmp_path: Path
) -> None:
    limit_mb = 0.15
    cache = tmp_path / "cache"
    program, env = _scoring(tmp_path, referring, METAMODEL_DISK_CACHE_MB=str(limit_mb))
    forked_programs.run(*program, _written(registered.rows, tmp_path), env=env).check_returncode()

    children = list((cache / "entries").iterdir())
    used = sum(path.stat().st_blocks * 512 for path in (cache / "entries").rglob("*"))
    assert 0 < len(children) < GROUPS
    assert used <= limit_mb * 2**20
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((cache / "partial").iterdir())


def test_what_a_killed_scoring_process_leaves_goes_with_the_next_one(
    registered: Registered, referring: str, tmp_path: Path
) -> None:
    program, env = _scoring(tmp_path, referring)
    rows = _written(registered.rows, tmp_path)
    registered.proxy.unavailable = "/model.pkl"  # so that a download is under way when it is killed
    process = forked_programs.start(*program, rows, env=env)
    try:
        while process.poll() is None and not list((tmp_path / "cache" / "partial").glob("*/*/MLmodel")):
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait(60) == -signal.SIGKILL
    assert list((tmp_path / "tmp").iterdir())  # the referring model itself
    assert list((tmp_path / "cache" / "partial").iterdir())
    registered.proxy.unavailable = ""

    forked_programs.run(*program, rows, env=env).check_returncode()

    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "cache" / "partial").iterdir())
    assert len(list((tmp_path / "cache" / "entries").iterdir())) == GROUPS


def _scoring(directory: Path, uri: str, **env: str) -> tuple[list[str], dict[str, str]]:
    """A program that scores the file it is given, with directories of its own."""
    (directory / "tmp").mkdir()
    program = (
        "import sys, pandas as pd, metamodel\n"
        "rows = pd.read_parquet(sys.argv[2])\n"
        "answers = metamodel.load_model(sys.argv[1]).predict(rows)\n"
        "assert set(answers['status']) == {'child'}\n"
    )
    quiet = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    own = {"TMPDIR": str(directory / "tmp"), "METAMODEL_DISK_CACHE": str(directory / "cache")}
    return ["-c", program, uri], {**os.environ, **quiet, **own, **env}


def _written(rows: pd.DataFrame, directory: Path) -> str:
    rows.to_parquet(directory / "rows.parquet")
    return str(directory / "rows.parquet")
