"""Hashes of the rows that children have seen, as one file of a bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import metamodel
from metamodel.bundle.carry.seen import SEEN_NAME, read_seen, write_seen
from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.reader import Bundle
from metamodel.datasets import make_store_sales
from metamodel.exceptions import CorruptBundle

SEEN = {"[2]": np.array([3, 2**64 - 1], dtype=np.uint64), "[1]": np.array([], dtype=np.uint64)}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle with what SEEN says, and nothing else to look at."""
    sales = make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)
    trained = metamodel.train(sales, "store", "units", features=["price"], n_jobs=1, seen=False)
    opened = Bundle(trained.bundle_path)
    write_seen(tmp_path, SEEN)
    opened.path = tmp_path
    opened.manifest = replace(opened.manifest, files={SEEN_NAME: FileEntry.of(tmp_path / SEEN_NAME)})
    return opened


def test_what_is_read_is_what_was_written(bundle: Bundle) -> None:
    assert {key: hashes.tolist() for key, hashes in read_seen(bundle).items()} == {"[1]": [], "[2]": [3, 2**64 - 1]}


def test_where_nothing_is_remembered_there_is_no_file_and_nothing_to_read(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_seen(tmp_path / "empty", {})
    bundle.manifest = replace(bundle.manifest, files={})
    assert (list((tmp_path / "empty").iterdir()), read_seen(bundle)) == ([], {})


def test_a_damaged_file_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    content = (tmp_path / SEEN_NAME).read_bytes()
    (tmp_path / SEEN_NAME).write_bytes(bytes(byte ^ 1 for byte in content))
    with pytest.raises(CorruptBundle, match=r"seen\.parquet is not what was written"):
        read_seen(bundle)


def test_a_row_costs_eight_bytes(tmp_path: Path) -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 1000, dtype=np.uint64)
    write_seen(tmp_path, {f"[{i}]": np.sort(hashes) for i in range(100)})
    assert (tmp_path / SEEN_NAME).stat().st_size < 8.1 * 100_000
