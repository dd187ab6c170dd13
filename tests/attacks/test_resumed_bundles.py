"""A training that was killed and asked for again writes the bytes that one writes which nobody disturbed."""

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from killed_commands import begin, processes, seconds
from same_bundles import assert_same

# What is there in the work directory, and how much of it, when a process is killed.
POINTS = [("tasks/*", 1), ("tasks/*.json", 1), ("tasks/*.json", 6), ("bundle/shards/*", 1), ("bundle/*.parquet", 1)]

# A process that multiprocessing has started waits for its own at its end, and joblib's stay.
END_WORKERS = "from joblib.externals.loky import get_reusable_executor; get_reusable_executor().shutdown()"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("n_jobs", "points"), [(1, POINTS), (2, POINTS[2:3])])
def test_a_killed_training_that_goes_on_writes_the_same_bytes_times_apart(
    n_jobs: int, points: list[tuple[str, int]], tmp_path: Path
) -> None:
    table, folder, store = tmp_path / "table.csv", tmp_path / "temporary", f"sqlite:///{tmp_path / 'runs.db'}"
    folder.mkdir()
    rows = [(f"s{shop}", row, row * shop + row % (3 + shop % 5)) for shop in range(60) for row in range(30)]
    pd.DataFrame(rows, columns=["shop", "x", "y"]).to_csv(table, index=False)
    whole, resumed, context = tmp_path / "whole", tmp_path / "resumed", processes()

    def program(path: Path) -> str:
        what = f"{str(table)!r}, 'shop', 'y', ['ridge', 'decision_tree'], n_jobs={n_jobs}, output_dir={str(path)!r}"
        return f"metamodel.train({what}); {END_WORKERS}"

    seconds(context, program(whole), store, folder)
    killed = 0
    for pattern, number in points:
        for _ in range(10):  # on a busy machine it may be done before anybody sees where it is
            process = begin(context, program(resumed), store, folder)
            while process.is_alive() and len(list((tmp_path / ".resumed.work").glob(pattern))) < number:
                time.sleep(0.002)
            process.kill()
            process.join()
            if process.exitcode != 0:
                killed += 1
                break
            shutil.rmtree(resumed)
        seconds(context, program(resumed), store, folder)
        assert_same(whole, resumed)
        shutil.rmtree(resumed)
    assert killed >= len(points) / 2
