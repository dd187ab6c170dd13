"""Processes that begin to log into one new store at the same moment all log into it."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import places
import pytest
from killed_commands import begin, processes

from metamodel.flavor.remote.new_database import make_databases

PROCESSES = 4

# Says when it begins to make the tables, and never ends; its parent kills it there.
STOPS_IN_THE_MIDDLE = """
import signal, sys, mlflow.store.db.utils as tables
from metamodel.flavor.remote.new_database import make_databases
def stop(engine):
    print("half", flush=True)
    signal.pause()
tables._upgrade_db = stop
make_databases([sys.argv[1]])
"""


@pytest.mark.timeout(300)
def test_processes_that_make_one_store_at_once_wait_for_each_other_and_all_log(
    served_bundle: Path, tmp_path: Path
) -> None:
    database, folder = tmp_path / "new" / "runs.db", tmp_path / "temporary"
    folder.mkdir()
    context, program = processes(), f"metamodel.log_model({str(served_bundle)!r}, report=False)"
    begun = [begin(context, program, f"sqlite:///{database}", folder) for _ in range(PROCESSES)]
    for process in begun:
        process.join(240)
    assert [process.exitcode for process in begun] == [0] * PROCESSES
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall() == [
            ("FINISHED", PROCESSES)
        ]
        assert connection.execute("SELECT count(*) FROM experiments").fetchall() == [(1,)]


def test_a_process_that_is_killed_while_it_makes_a_database_leaves_none_and_the_next_one_makes_it(
    tmp_path: Path,
) -> None:
    database = tmp_path / "stores" / "runs.db"
    environment = {**os.environ, "PYTHONPATH": places.IMPORTS}
    program = [sys.executable, "-c", STOPS_IN_THE_MIDDLE, f"sqlite:///{database}"]
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert not database.exists()

    make_databases([f"sqlite:///{database}"])

    assert list(database.parent.iterdir()) == [database]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM experiments").fetchall() == [("Default",)]
