"""The compiled walk: rows one by one and many together end in the leaf that scikit-learn finds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import ensemble
from stacked import built

import metamodel


@pytest.fixture(autouse=True)
def _numba():
    pytest.importorskip("numba")


def test_a_large_tree_and_many_rows():
    x = np.random.default_rng(0).normal(size=(3000, 3))
    child = ensemble.RandomForestRegressor(n_estimators=4, random_state=0).fit(x, x[:, 0] * x[:, 1])
    small = ensemble.RandomForestRegressor(n_estimators=4, max_leaf_nodes=64, random_state=0).fit(x, x[:, 0] * x[:, 1])
    (stack,), _ = built([child, small], [x, x])
    positions = np.arange(6000) % 2
    values, _, _ = stack.program.answer(list(np.repeat(x, 2, axis=0).T), positions, proba=False)
    assert values[::2].tolist() == child.predict(x).tolist()
    assert values[1::2].tolist() == small.predict(x).tolist()


@pytest.mark.slow
@pytest.mark.tableless
def test_where_nothing_can_be_kept_on_disk_the_kernel_is_compiled_all_the_same(tmp_path):
    package = Path(metamodel.__file__).parent
    shutil.copytree(package, tmp_path / "metamodel", ignore=shutil.ignore_patterns("__pycache__"))
    stacks = tmp_path / "metamodel" / "prediction" / "stacks"
    (stacks / "__pycache__").touch()  # a file in the folder's place: for root too
    env = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    env |= {"HOME": os.devnull, "PYTHONPATH": str(tmp_path)}
    program = (
        "from metamodel.prediction.stacks import tree_kernel; "
        "print(tree_kernel.__file__, len(tree_kernel.walk.signatures))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout.split() == [str(stacks / "tree_kernel.py"), "3"], run.stderr
