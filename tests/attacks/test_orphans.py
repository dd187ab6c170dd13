"""Worker processes whose owner was killed: they end by themselves, and the next command takes their files away."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import places
import pytest

from metamodel.common.temp_dirs import SHARED_MEMORY, scratch_directory

# So long would a fit last.
FIT_SECONDS = 600

TRAINS = """
import sys, numpy as np, pandas as pd, metamodel
from children import HoldsPipe
rows = 400_000
table = pd.DataFrame({"g": np.arange(rows) % 2, "x": np.arange(rows) * 0.5, "y": np.arange(rows) * 1.0})
estimator = HoldsPipe(sys.argv[1], float(sys.argv[2]))
metamodel.train(table, "g", "y", estimator, n_jobs=2, holdout=0, min_rows=2)
"""


def left(folder: Path) -> list[Path]:
    """What is there of processes that keep directories in a folder."""
    return [path for path in folder.glob("metamodel-*") if not path.name.endswith(".lock")]


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no file system in memory here")
@pytest.mark.parametrize("everybody", [False, True], ids=["the owner", "owner, workers and trackers"])
def test_workers_of_a_killed_process_end_and_its_files_go(
    everybody: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, temporary = tmp_path / "at work", tmp_path / "temporary"
    os.mkfifo(pipe)
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": places.IMPORTS, "TMPDIR": str(temporary)}
    program = [sys.executable, "-c", TRAINS, str(pipe), str(FIT_SECONDS)]
    owner = subprocess.Popen(program, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:
        stack.callback(owner.kill)
        workers = stack.enter_context(pipe.open("rb"))  # waits for the first one
        assert workers.readline() == workers.readline() == b"at work\n"
        shared = [path for path in left(SHARED_MEMORY) if path.name.startswith(f"metamodel-{owner.pid}-")]
        assert [path for directory in shared for path in directory.rglob("*.pkl")]
        killed = time.monotonic()
        (os.killpg if everybody else os.kill)(owner.pid, signal.SIGKILL)
        owner.wait()
        assert workers.read() == b""  # the end of the file: nobody holds the pipe any more
        assert time.monotonic() - killed < FIT_SECONDS / 4

    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    mine = scratch_directory("next")
    assert left(temporary) == [mine.parent]
    assert not [path for path in shared if path.exists()]
    assert not list(SHARED_MEMORY.glob(f"sem.loky-{owner.pid}-*"))
