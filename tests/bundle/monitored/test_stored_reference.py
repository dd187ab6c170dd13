from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drift_tables import drift_table
from monitored import monitored, weeks

import metamodel
from metamodel.bundle.manifest import FileEntry
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME, read_drift, write_drift
from metamodel.bundle.reader import Bundle
from metamodel.evaluation.drift.build_reference import build_reference
from metamodel.exceptions import CorruptBundle


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return metamodel.MetaModel(monitored().bundle_path).bundle


@pytest.mark.parametrize("groups", [0, 7])
def test_what_is_read_is_what_was_written(bundle: Bundle, tmp_path: Path, groups: int) -> None:
    columns, codes, times = drift_table(1)
    reference = build_reference(columns, np.where(codes < groups, codes, -1), groups, times)
    keys = [f"[{i}]" for i in range(groups)]

    write_drift(tmp_path, keys, reference)
    other = Bundle(bundle.path)
    other.path = tmp_path
    other.manifest = replace(bundle.manifest, files={DRIFT_NAME: FileEntry.of(tmp_path / DRIFT_NAME)})
    stored = read_drift(other)

    assert stored is not None
    assert stored[0] == keys
    assert stored[1].to_meta() == reference.to_meta()
    for name, array in reference.to_arrays().items():
        np.testing.assert_array_equal(stored[1].to_arrays()[name], array, err_msg=name)
        assert stored[1].to_arrays()[name].dtype == array.dtype
    bins = read_drift(other, bins_only=True)
    assert bins is not None
    assert (bins[0], len(bins[1]), bins[1].to_meta()) == (keys, groups, reference.to_meta())
    for name in ("edges", "commonest"):
        np.testing.assert_array_equal(getattr(bins[1], name), getattr(reference, name))
    assert not bins[1].counts.any()


def test_a_damaged_file_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    damaged = Bundle(bundle.path)
    damaged.path = tmp_path
    (tmp_path / DRIFT_NAME).write_bytes(b"x" * 100)
    with pytest.raises(CorruptBundle, match=r"drift\.parquet is not what was written"):
        read_drift(damaged)


def test_the_same_training_writes_the_same_bytes_whatever_the_processes() -> None:
    written = [(monitored(n_jobs=n).bundle_path / DRIFT_NAME).read_bytes() for n in (1, 1, 2)]
    assert written[0] == written[1] == written[2]


def test_an_update_that_carries_all_groups_carries_their_reference_unchanged(bundle: Bundle) -> None:
    first = metamodel.MetaModel(bundle.path)

    second = metamodel.update(first, weeks(8, 1, start="2026-01-05"), retrain=["new"], n_jobs=1)

    before, after = (read_drift(Bundle(path)) for path in (first.bundle.path, second.bundle_path))
    assert before is not None
    assert after is not None
    assert sorted(before[0]) == sorted(after[0])
    order = np.array([after[0].index(key) for key in before[0]])
    for name, array in before[1].to_arrays().items():
        np.testing.assert_array_equal(after[1].take(order).to_arrays()[name], array, err_msg=name)
    assert before[1].to_meta() == after[1].to_meta()
