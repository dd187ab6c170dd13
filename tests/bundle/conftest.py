"""A bundle, and a shard, that a test may damage."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shard_files import BLOBS

from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.training.train import train

GROUPS = 12


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Ten groups that can be fitted, one that fails and one that is skipped."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(GROUPS * 20, 3)), columns=["a", "b", "y"])
    frame.insert(0, "g", np.repeat(range(GROUPS), 20))
    frame.loc[frame["g"] == 10, "y"] = np.inf
    frame.loc[frame["g"] == 11, "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def whole(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of this table."""
    path = tmp_path_factory.mktemp("bundle") / "whole"
    return train(table, "g", "y", "linear_regression", output_dir=path, n_jobs=1, stack=False).bundle_path


@pytest.fixture
def empty_process_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of one bundle have one digest, so that children of the whole copies would hide damage."""
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", None)


@pytest.fixture
def bundle(whole: Path, tmp_path: Path, empty_process_cache: None) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "bundle"))


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Six groups with a child, one that was skipped and one that failed."""
    path = tmp_path / "00000.sqlite"
    with ShardWriter(path) as writer:
        for key, blob in BLOBS.items():
            writer.add(ShardRow.of_child(key, 1, "", blob, resident=len(blob) * 2))
        writer.add(ShardRow('["small"]', 1, "skipped", "min_rows: 1 usable row, 2 needed"))
        writer.add(ShardRow('["bad"]', 1, "failed", "error"))
    return path
