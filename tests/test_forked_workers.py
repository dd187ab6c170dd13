"""Workers of joblib that are forked are, to joblib and to themselves, those that it starts."""

import json
import os
import sys
from pathlib import Path

import forked_programs
import forked_workers
import pytest

pytestmark = pytest.mark.tableless

# Says of joblib's own workers, then of forked ones, what they are, and how joblib is told that one was killed.
_TELL = """
import json, os, sys
import joblib
from joblib.externals.loky import reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from forked_workers import fork_workers
from worker_facts import facts, killed

def in_processes():
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        return joblib.Parallel(2)

def told():
    yield in_processes()([joblib.delayed(facts)()])[0]
    executor = reusable_executor._executor
    workers = list(executor._processes.values())
    try:
        in_processes()([joblib.delayed(killed)()])
    except TerminatedWorkerError as error:
        executor.shutdown(wait=True)
        yield [type(error).__name__, -9 in [worker.exitcode for worker in workers]]

os.environ["ONE"] = "\\u00fcn\\u00f6"
os.chdir(sys.argv[1])
real = list(told())
fork_workers()
print(json.dumps([real, list(told()), os.getpid()]))
"""


def _of_real_and_forked(directory: Path) -> tuple[list[dict[str, object]], list[list[object]], int]:
    done = forked_programs.run("-c", _TELL, str(directory))
    assert (done.returncode, done.stderr) == (0, "")
    (real, real_end), (forked, forked_end), owner = json.loads(done.stdout)
    return [real, forked], [real_end, forked_end], owner


@pytest.mark.skipif(not forked_workers.can_fork_workers(), reason="no workers are forked here, or with this joblib")
def test_a_forked_worker_is_like_one_that_joblib_starts_and_ends_like_one(tmp_path: Path) -> None:
    facts, ends, owner = _of_real_and_forked(tmp_path)
    real, forked = facts
    imported = [fact.pop("imported") for fact in facts]
    assert imported == [False, True]
    assert real.pop("draw") != forked.pop("draw")
    assert forked == real
    assert (forked["parent"], forked["directory"], forked["one"]) == (owner, str(tmp_path), "ünö")
    assert ends == [["TerminatedWorkerError", True]] * 2


WORKER = [sys.executable, "-m", "joblib.externals.loky.backend.popen_loky_posix", "--pipe", "3"]


@pytest.mark.parametrize(
    ("command", "threads"), [([sys.executable, "-c", "pass"], "1"), (WORKER, "4")], ids=["a tracker", "a worker"]
)
def test_what_is_no_worker_and_whose_libraries_start_threads_is_started_anew(command: list[str], threads: str) -> None:
    started = []
    env = {"OPENBLAS_NUM_THREADS": threads}

    def fork_exec(command: list[str], descriptors: list[int], env: dict[str, str] | None = None) -> int:
        started.append((command, descriptors, env))
        return 7

    start = forked_workers.forking_fork_exec(fork_exec)
    assert start(command, [3], env=env) == 7
    assert started == [(command, [3], env)]


def test_workers_whose_libraries_get_other_threads_are_of_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    of_servers = []

    class Server:
        def __init__(self, _: object, env: dict[str, str] | None) -> None:
            of_servers.append(env)

        def fork(self, arguments: list[str], *_: object) -> int:
            return os.getpid() + len(of_servers) if arguments == ["--pipe", "3"] else 0

    monkeypatch.setattr(forked_workers, "_Server", Server)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    start = forked_workers.forking_fork_exec(lambda *_, **__: 0)
    environments = [{"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "2"}, {"OMP_NUM_THREADS": "2", "ONE": "1"}]
    assert [start(WORKER, [3], env=env) - os.getpid() for env in environments] == [1, 2, 2]
    assert of_servers == environments[:2]
