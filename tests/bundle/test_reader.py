"""Bundles: written whole or not at all, opened at once, and damage stays where it is."""

import json
import multiprocessing
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pandas as pd
import pytest
from bundles import change_manifest, prove_again
from pandas.testing import assert_frame_equal
from places import DATA
from shard_files import blob_of, shard_of

from metamodel.bundle.manifest import FORMAT_VERSION, FileEntry
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.bundle.shard_writer import ShardWriter, seal_shard
from metamodel.bundle.shards import ShardRow
from metamodel.common.byte_cache import ByteCache
from metamodel.exceptions import (
    CorruptBundle,
    ForbiddenCodec,
    TrainingFailed,
    UnknownGroup,
    UnreadableBundle,
)
from metamodel.training.train import train

pytestmark = pytest.mark.usefixtures("empty_process_cache")


def statuses(bundle, table):
    answers = MetaModel(bundle, ByteCache(2**20)).predict(table)
    return answers.groupby(table["g"])["status"].first().tolist()


# --- reading


def test_a_bundle_has_the_documented_files(bundle):
    files = sorted(str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file())
    described = ["manifest.json", "manifest.sha256", "recipe.json"]
    evidence = ["drift.parquet", "holdout.parquet", "importance.parquet"]
    assert files == [*evidence, "keys.npy", "ledger.parquet", *described, "seen.parquet", "shards/00000.sqlite"]


def test_the_manifest_has_the_digest_of_every_other_file(bundle):
    opened = Bundle(bundle)
    names = [
        "drift.parquet",
        "holdout.parquet",
        "importance.parquet",
        "keys.npy",
        "ledger.parquet",
        "recipe.json",
        "seen.parquet",
        "shards/00000.sqlite",
    ]
    assert (sorted(opened.manifest.files), opened.damaged_files()) == (names, [])


@pytest.mark.parametrize("name", ["ledger.parquet", "shards/00000.sqlite"])
def test_a_changed_or_missing_file_is_found(bundle, name):
    path = bundle / name
    path.write_bytes(path.read_bytes() + b"\0")
    assert Bundle(bundle).damaged_files() == [name]
    path.unlink()
    assert Bundle(bundle).damaged_files() == [name]


def test_a_child_comes_with_the_digest_of_its_bytes(bundle):
    opened = Bundle(bundle)
    child, version = opened.load((3,))
    assert version == opened.ledger.set_index("g").loc[3, "sha256"]
    assert child is opened.load((3,))[0]


def test_a_fresh_child_belongs_to_the_caller(bundle):
    opened = Bundle(bundle)
    assert opened.fresh_child((3,)) is not opened.load((3,))[0]


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (
            (99,),
            UnknownGroup,
            r"No child model for group \(99,\) \(10 known\). Train it, or train with unknown=\"fallback\"",
        ),
        ((11,), UnknownGroup, r"group \(11,\): it was skipped in training \(min_rows: 0 usable rows.*\). Train it"),
        ((10,), TrainingFailed, r"group \(10,\): it was failed in training \(.*ValueError: .*infinity.*\). Train it"),
    ],
)
def test_a_group_without_a_child_says_why(bundle, key, error, message):
    with pytest.raises(error, match=message):
        Bundle(bundle).load(key)


# --- damage


def test_a_damaged_child_fails_its_own_group_alone(bundle, table):
    content, blob = bytearray(shard_of(bundle).read_bytes()), blob_of(bundle, "[3]")
    content[content.index(blob) + len(blob) // 2] ^= 0xFF
    shard_of(bundle).write_bytes(content)
    with pytest.raises(
        CorruptBundle, match=r"The child of group \[3\] in shard 00000.sqlite is damaged: .* or train this"
    ):
        Bundle(bundle).load((3,))
    assert statuses(bundle, table) == ["child"] * 3 + ["failed"] + ["child"] * 6 + ["failed", "unknown_group"]


def test_a_group_that_a_damaged_index_does_not_find_is_no_stranger(bundle, table):
    content = bytearray(shard_of(bundle).read_bytes())
    content[content.rindex(b"[3]") + 1] ^= 0x40  # the index stands behind the table
    shard_of(bundle).write_bytes(content)
    with pytest.raises(
        CorruptBundle, match=r"Group \(3,\) was written to .*, but the index of its shard does not find"
    ):
        Bundle(bundle).load((3,))
    assert statuses(bundle, table)[3] == "failed"
    with pytest.raises(UnknownGroup, match=r"No child model for group \(99,\)"):
        Bundle(bundle).load((99,))


def test_without_an_intact_list_of_keys_no_group_is_called_unknown(bundle):
    content = bytearray((bundle / "keys.npy").read_bytes())
    content[-1] ^= 1
    (bundle / "keys.npy").write_bytes(content)
    assert isinstance(Bundle(bundle).load((3,))[1], str)
    with pytest.raises(CorruptBundle, match=r"keys.npy is not what was written. Restore the bundle"):
        Bundle(bundle).load((99,))


@pytest.mark.parametrize("keep", [0, 1000, 0.5])
def test_a_truncated_shard_fails_its_groups_and_the_process_lives(bundle, table, keep):
    content = shard_of(bundle).read_bytes()
    shard_of(bundle).write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    assert statuses(bundle, table) == ["failed"] * table["g"].nunique()
    with pytest.raises(CorruptBundle, match=r"Shard 00000.sqlite has [\d,]+ bytes; [\d,]+ were written. Restore"):
        Bundle(bundle).load((3,))


def test_a_missing_shard_fails_its_groups(bundle, table):
    shard_of(bundle).unlink()
    assert statuses(bundle, table) == ["failed"] * table["g"].nunique()


def test_a_child_that_cannot_be_read_fails_alone(bundle, table):
    shard = shard_of(bundle)
    rows = [
        ShardRow.of_child(f"[{g}]", 1, "", blob_of(bundle, f"[{g}]") if g != 3 else b"no pickle", 1) for g in range(10)
    ]
    with ShardWriter(shard) as writer:
        for row in rows:
            writer.add(row)
    files, name = json.loads((bundle / "manifest.json").read_text())["files"], "shards/00000.sqlite"
    change_manifest(bundle, files=files | {name: asdict(FileEntry.of(shard, seal_shard(shard)))})
    assert statuses(bundle, table)[:10] == ["child"] * 3 + ["failed"] + ["child"] * 6
    with pytest.raises(
        CorruptBundle, match=r"The child of group \(3,\) cannot be deserialized \(.*\). Install what it"
    ):
        Bundle(bundle).load((3,))


def test_a_damaged_ledger_is_said_and_predictions_go_on(bundle, table):
    (bundle / "ledger.parquet").write_bytes(b"no parquet")
    assert statuses(bundle, table)[0] == "child"
    with pytest.raises(CorruptBundle, match=r"ledger.parquet is not what was written. Restore the bundle"):
        _ = Bundle(bundle).ledger


def test_a_later_format_version_is_refused(bundle):
    change_manifest(bundle, format_version=FORMAT_VERSION + 1)
    with pytest.raises(
        UnreadableBundle, match=r"manifest.json has format version 2; this release reads 1. Open it with the release"
    ):
        Bundle(bundle)


def test_a_half_written_bundle_cannot_be_opened(bundle):
    (bundle / "manifest.json").rename(bundle / "manifest.json.unfinished")
    with pytest.raises(
        UnreadableBundle, match=r"holds no manifest.json, so it is no bundle or was not finished .* Give"
    ):
        Bundle(bundle)


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_what_is_no_bundle_cannot_be_opened(tmp_path, where):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnreadableBundle, match=rf"{where} holds no manifest.json"):
        Bundle(tmp_path / where)


def test_bytes_that_are_no_manifest_cannot_be_opened(bundle):
    prove_again(bundle, os.urandom(500))
    with pytest.raises(UnreadableBundle, match=r"manifest.json is no manifest"):
        Bundle(bundle)


def test_an_unknown_codec_is_refused(bundle):
    change_manifest(bundle, codec="zip")
    with pytest.raises(UnreadableBundle, match=r"has the unknown codec 'zip'. Upgrade metamodel"):
        Bundle(bundle)


@pytest.mark.parametrize("codec", ["cloudpickle", "joblib"])
def test_without_pickles_a_pickle_bundle_is_refused(table, monkeypatch, codec):
    path = train(table, "g", "y", "linear_regression", codec=codec, n_jobs=1, stack=False).bundle_path
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(
        ForbiddenCodec, match=f"are {codec} pickles and MLFLOW_ALLOW_PICKLE_DESERIALIZATION is 'false', not true"
    ):
        Bundle(path)


def test_without_pickles_a_skops_bundle_answers(table, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    path = train(table, "g", "y", "random_forest", {"n_estimators": 3}, codec="skops", n_jobs=1).bundle_path
    assert statuses(path, table)[:10] == ["child"] * 10


# --- cache, threads and processes


def test_a_bundle_that_is_changed_in_place_is_not_answered_from_the_cache(bundle, table):
    cache = ByteCache(2**30)
    before = MetaModel(bundle, cache).predict(table.iloc[:1])["prediction"]
    shutil.rmtree(bundle)
    train(table.assign(y=table["y"] + 100), "g", "y", "linear_regression", output_dir=bundle, n_jobs=1)
    after = MetaModel(bundle, cache).predict(table.iloc[:1])["prediction"]
    assert after.tolist() == pytest.approx((before + 100).tolist())


def test_two_models_of_one_bundle_share_their_children(bundle):
    cache = ByteCache(2**30)
    assert Bundle(bundle, cache).load((1,))[0] is Bundle(bundle, cache).load((1,))[0]


def test_two_copies_of_one_bundle_share_their_children(bundle, whole):
    cache = ByteCache(2**30)
    assert Bundle(bundle, cache).load((1,))[0] is Bundle(whole, cache).load((1,))[0]


def test_a_batch_over_more_groups_than_fit_leaves_the_cache_alone(bundle, table):
    resident = Bundle(bundle).manifest.counts["resident_bytes"]
    model = MetaModel(bundle, ByteCache(resident // 2))
    model.predict(table[table["g"] < 3])
    kept = model.stats()["cache"]["entries"]
    model.predict(table)
    assert (kept, model.stats()["cache"]["entries"], model.stats()["cache"]["evictions"]) == (3, 3, 0)


def test_eight_threads_on_a_cache_smaller_than_the_children_get_right_answers(bundle, table):
    limit = Bundle(bundle).manifest.counts["resident_bytes"] // 3
    cache = ByteCache(limit)
    model = MetaModel(bundle, cache)
    frames = [table[table["g"].isin([g, (g + 1) % 10])].sample(frac=1, random_state=g) for g in range(10)]
    expected = [MetaModel(bundle, ByteCache(0)).predict(frame) for frame in frames]

    def ask(i):
        answers = model.predict(frames[i % 10])
        return answers.equals(expected[i % 10]) and cache.stats()["bytes"] <= limit

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))
    assert cache.stats()["evictions"] > 0


def _answers_of(model, table, results):
    results.put(model.predict(table)["prediction"].tolist())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_reads_on(bundle, table):
    model = MetaModel(bundle)
    few = table[table["g"] < 3]
    expected = model.predict(few)["prediction"].tolist()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_answers_of, args=(model, few, results))
    child.start()
    assert results.get(timeout=200) == expected
    child.join()
    assert model.predict(few)["prediction"].tolist() == expected


# --- writing


# --- compression


# --- golden bundles


@pytest.mark.parametrize("kind", ["regressors", "classifiers"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_golden_bundles_give_their_recorded_answers(kind, monkeypatch):
    monkeypatch.syspath_prepend(DATA)
    from make_golden_bundle import PARAMS, questions

    golden = DATA / f"golden-v{FORMAT_VERSION}"
    model = MetaModel(golden / kind)
    expected = pd.DataFrame(json.loads((golden / f"{kind}.json").read_text(encoding="utf-8")))
    answers = model.predict(questions(), PARAMS[kind])
    assert_frame_equal(answers, expected.astype(answers.dtypes), rtol=1e-9)
    assert (model.bundle.damaged_files(), model.bundle.damaged_groups()) == ([], {})
    fitted = {"regressors": 54 + 4 + 1, "classifiers": 4 + 3 + 1}[kind]
    assert model.ledger["status"].value_counts().to_dict() == {"fitted": fitted, "skipped": 1}


def test_the_golden_bundles_hold_all_that_a_bundle_can_hold():
    regressors = Bundle(DATA / f"golden-v{FORMAT_VERSION}" / "regressors").manifest
    columns = {"radius", "weight_0", "weight_1", "weight_2"}
    assert (regressors.compression, set(regressors.group_values["columns"])) == ("zstd", columns)
    assert [stack["children"] for stack in regressors.stacks] == [59]
