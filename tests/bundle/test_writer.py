"""Writing a bundle: whole or not at all, in few files."""

import os
import sys

import pandas as pd
import pytest

from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.bundle.writer import ShardMerger, library_versions, new_bundle
from metamodel.exceptions import AllGroupsFailed, InputError


def test_the_shards_of_tasks_become_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr("metamodel.bundle.writer._SHARD_BYTES", 300_000)
    (tmp_path / "shards").mkdir()
    merger = ShardMerger(tmp_path)
    names = []
    for i in range(4):
        with ShardWriter(tmp_path / f"{i}.sqlite") as writer:
            writer.add(ShardRow.of_child(f"[{i}]", 1, "", os.urandom(150_000), resident=1))
        names.append(merger.add(tmp_path / f"{i}.sqlite"))
    merger.close()
    assert names == ["00000.sqlite", "00000.sqlite", "00001.sqlite", "00001.sqlite"]
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == ["00000.sqlite", "00001.sqlite"]


def test_an_error_while_writing_leaves_no_bundle_and_keeps_what_tasks_did(tmp_path):
    def write():
        with new_bundle(tmp_path / "out") as (directory, tasks):
            (directory / "ledger.parquet").write_text("half")
            (tasks / "done.json").write_text("{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    with new_bundle(tmp_path / "out") as (directory, tasks):
        left = [path.name for folder in (directory, tasks) for path in folder.rglob("*")]
        (directory / "manifest.json").write_text("{}")
    assert (left, [path.name for path in tmp_path.iterdir()]) == (["shards", "done.json"], ["out"])


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only the administrator can give files away")
@pytest.mark.parametrize("linked", [False, True])
def test_what_another_user_would_have_gone_on_with_is_refused(linked, tmp_path):
    work = tmp_path / ".bundle.work"
    theirs = tmp_path / "theirs" if linked else work
    (theirs / "tasks").mkdir(parents=True)
    os.chown(theirs, 54321, 54321)
    if linked:
        work.symlink_to(theirs)
    match = r"\.bundle\.work was made by another user\. Take it away, or name another output directory\.$"
    with pytest.raises(InputError, match=match), new_bundle(tmp_path / "bundle"):
        raise AssertionError("it is gone on with")


def test_the_work_folder_is_this_users_alone(tmp_path):
    before = os.umask(0)
    try:
        with new_bundle(tmp_path / "bundle") as (directory, _):
            assert directory.parent.stat().st_mode & 0o777 == 0o700
            raise AllGroupsFailed("none")
    except AllGroupsFailed:
        assert list(tmp_path.iterdir()) == []
    finally:
        os.umask(before)


def test_versions_of_what_is_installed_are_recorded():
    versions = library_versions(["pandas", "no-such-package"])
    assert versions == {"python": sys.version.partition(" ")[0].rstrip("+"), "pandas": pd.__version__}
