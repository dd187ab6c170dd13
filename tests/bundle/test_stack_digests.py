"""Blocks of a stack: read once, when they are first wanted, and answered by nobody where they are damaged."""

import pandas as pd
import pytest
from stacked import NAMES, flip, flip_last, training_table

import metamodel
from metamodel.bundle import stack_digests as stack_blocks
from metamodel.bundle.model import MetaModel
from metamodel.bundle.shard_reader import ShardReader
from metamodel.exceptions import CorruptBundle
from metamodel.report.inspection import damage


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("stacked") / "bundle"
    table = training_table()
    return metamodel.train(
        table, ["country", "store"], "y", estimator="ridge", n_jobs=1, output_dir=path, stack=True
    ).bundle_path


def batch(rows):
    return pd.DataFrame(rows, columns=["country", "store", *NAMES]).astype({"country": object})


@pytest.fixture
def copied(bundle, tmp_path, monkeypatch):
    """A copy that a test may damage; children of the whole bundle, which has the same digest, would hide damage."""
    monkeypatch.setattr("metamodel.common.byte_cache._process_cache", None)
    monkeypatch.setattr("metamodel.bundle.stack_digests._MOST_CHILDREN", 2)
    metamodel.train(training_table(), ["country", "store"], "y", n_jobs=1, output_dir=tmp_path / "b")
    return tmp_path / "b"


def damage_child(path, key):
    (shard,) = (path / "shards").glob("*.sqlite")
    blob = ShardReader(shard).read(key).child
    flip(shard, shard.read_bytes().index(blob) + len(blob) // 2)


LAST = '["DE",3]'  # the last number of every array is this group's, and its block has two groups


@pytest.mark.parametrize("array", ["slope", "intercept", "versions"])
def test_a_group_whose_numbers_are_damaged_is_answered_by_its_child(copied, array):
    expected = MetaModel(copied).predict(training_table(), {"detail": True})
    flip_last(copied, array)
    model = MetaModel(copied)
    with pytest.warns(RuntimeWarning, match=r"Stack stacks/00000 of b is damaged: .* 2 groups .*Their children answer"):
        answers = model.predict(training_table(), {"detail": True})
    stats = model.stats()
    pd.testing.assert_frame_equal(answers, expected)
    assert (stats["groups_damaged_in_stacks"], stats["rows_stacked"]) == (2, 120)
    model.predict(training_table())  # warned of once: a second warning would be an error here


def test_who_is_damaged_in_both_places_fails_alone_and_is_named(copied):
    flip_last(copied, "slope")
    damage_child(copied, LAST)
    model = MetaModel(copied)
    with pytest.warns(RuntimeWarning, match="is damaged"):
        answers = model.predict(training_table(), {"detail": True})
    failed = answers["status"] == "failed"
    assert (failed.sum(), set(answers.loc[failed, "key"])) == (30, {LAST})
    assert answers.loc[failed, "error"].str.contains(r'The child of group \["DE",3\] .* is damaged').all()
    with pytest.raises(CorruptBundle, match="DE"):
        model.child(("DE", 3))


def test_a_damaged_child_behind_intact_numbers_does_not_matter(copied):
    expected = MetaModel(copied).predict(training_table())
    damage_child(copied, LAST)
    model = MetaModel(copied)
    pd.testing.assert_frame_equal(model.predict(training_table()), expected, check_exact=True)
    assert model.bundle.damaged_groups() == {LAST: ["child"]}


def test_verifying_names_the_groups_and_both_places(copied):
    flip_last(copied, "slope")
    damage_child(copied, LAST)
    model = MetaModel(copied)
    found = damage(model)
    assert found["damaged_files"] == ["shards/00000.sqlite", "stacks/00000.arrays"]
    assert found["damaged_groups"][LAST] == "child, stack"
    assert (set(found["damaged_groups"].values()), len(found["damaged_groups"])) == ({"child, stack", "stack"}, 2)


def test_the_first_answer_reads_one_block_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr("metamodel.bundle.stack_digests._MOST_CHILDREN", 2)
    path = metamodel.train(training_table(), ["country", "store"], "y", n_jobs=1, output_dir=tmp_path / "b").bundle_path
    read = []
    digest = stack_blocks._digest
    monkeypatch.setattr(stack_blocks, "_digest", lambda parts: read.append(1) or digest(parts))
    model = MetaModel(path)
    for _ in range(3):
        model.predict(batch([("FR", 1.0, 1, 2, 3)]))
    assert len(read) == 1
