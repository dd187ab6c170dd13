"""Preloading: the children of hot groups are in the cache before the first request, as far as there is room."""

import warnings

import numpy as np
import pandas as pd
import pytest

from metamodel.bundle.model import MetaModel
from metamodel.bundle.preload import preload_setting
from metamodel.common.byte_cache import ByteCache
from metamodel.exceptions import InputError
from metamodel.flavor.load import load_model
from metamodel.training.train import train

KEYS = ["country", "store"]
SIZES = {("FR", 7): 12, ("FR", 8): 30, ("DE", 7): 20, ("DE", 9): 1}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = [key for key, size in SIZES.items() for _ in range(size)]
    frame = pd.DataFrame(rows, columns=KEYS)
    return frame.assign(a=rng.normal(size=len(frame)), y=rng.normal(size=len(frame)))


@pytest.fixture(scope="module")
def bundle(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("preload") / "bundle"
    return train(
        table, KEYS, "y", "random_forest", {"n_estimators": 2}, stack=False, n_jobs=1, output_dir=path
    ).bundle_path


def asked(model, table):
    """Ask every group for its rows; returns how often the cache had to load."""
    before = model.stats()["cache"]["misses"]
    model.predict(table)
    return model.stats()["cache"]["misses"] - before


@pytest.mark.parametrize(
    ("preload", "loaded"),
    [
        (2, {("FR", 8), ("DE", 7)}),
        (99, {("FR", 7), ("FR", 8), ("DE", 7)}),
        (0, set()),
        ([("FR", 7), ("FR", 7.0)], {("FR", 7)}),
    ],
)
def test_hot_groups_are_loaded_before_the_first_request(table, bundle, preload, loaded):
    model = load_model(bundle, cache_bytes=2**20, preload=preload)
    rows = table[[key in loaded for key in zip(table["country"], table["store"], strict=True)]]
    assert (model.stats()["preload"]["loaded"], asked(model, rows)) == (len(loaded), 0)


@pytest.mark.parametrize("name", ["hot.csv", "hot.parquet"])
def test_hot_groups_may_stand_in_a_table(tmp_path, table, bundle, name):
    hot = pd.DataFrame({"country": ["DE", "FR", "DE"], "store": [7, 8, 7], "requests": [5, 3, 2]})
    path = tmp_path / name
    hot.to_csv(path, index=False) if name.endswith("csv") else hot.to_parquet(path)
    model = load_model(bundle, cache_bytes=2**20, preload=path)
    assert (model.stats()["preload"]["asked"], asked(model, hot[KEYS].assign(a=0.0))) == (2, 0)


def test_groups_without_a_child_are_reported(bundle):
    message = (
        r"3 groups cannot be preloaded. First: .*holds integers; .*'x'.*\('FR', 9\) \(3 known\).*skipped in training"
    )
    with pytest.warns(RuntimeWarning, match=message):
        model = load_model(bundle, cache_bytes=2**20, preload=[("FR", 7), ("FR", "x"), ("FR", 9), ("DE", 9)])
    expected = {"asked": 4, "loaded": 1, "stacked": 0, "no_room": 0, "unknown": 3, "damaged": 0}
    assert model.stats()["preload"] == expected


def test_a_damaged_child_is_reported_and_the_others_are_loaded(bundle, tmp_path):
    copy = damaged_copy(bundle, tmp_path)
    with pytest.warns(RuntimeWarning, match=r"1 group cannot be preloaded. First: The child of group .* is damaged"):
        model = load_model(copy, cache_bytes=2**20, preload=3)
    assert {name: model.stats()["preload"][name] for name in ("loaded", "damaged")} == {"loaded": 2, "damaged": 1}


def damaged_copy(bundle, tmp_path):
    import shutil

    from metamodel.bundle.shard_reader import ShardReader
    from metamodel.tables.keys import encode_key

    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    shard = copy / "shards" / "00000.sqlite"
    content = bytearray(shard.read_bytes())
    blob = ShardReader(shard).read(encode_key(("FR", 8))).child
    content[content.index(blob) + len(blob) // 2] ^= 0xFF
    shard.write_bytes(content)
    return copy


def test_preloading_stops_where_the_cache_is_full_and_pushes_nothing_out(bundle):
    cache = ByteCache(2**20)
    whole = MetaModel(bundle, cache)
    whole.preload(3)
    one = cache.stats()["bytes"] // 3
    cache = ByteCache(int(one * 2.5))
    cache.get("another model's", lambda: ("child", one))
    model = MetaModel(bundle, cache)
    report = model.preload(3)
    assert (report.loaded, report.no_room, cache.stats()["evictions"]) == (1, 2, 0)


def test_what_a_stack_answers_needs_no_child(table, tmp_path):
    path = train(table, KEYS, "y", "ridge", stack=True, n_jobs=1, output_dir=tmp_path / "bundle").bundle_path
    model = load_model(path, cache_bytes=2**20, preload=10)
    assert (model.stats()["preload"]["stacked"], model.stats()["cache"]["entries"]) == (3, 0)


@pytest.mark.parametrize("preload", [-1, True, 2.5], ids=str)
def test_what_is_no_preload_is_refused(bundle, preload):
    with pytest.raises(InputError, match=rf"preload={preload} is no number of groups. Give 0 or more, a list of keys"):
        load_model(bundle, preload=preload)


def test_a_file_that_is_not_there_is_refused(bundle, tmp_path):
    with pytest.raises(InputError, match=r"There is no file or folder .*hot.csv"):
        load_model(bundle, preload=tmp_path / "hot.csv")


@pytest.mark.parametrize(
    ("recorded", "variable", "expected"),
    [(None, None, None), (0, None, None), (None, " ", None), (0, "500", 500), (7, "500", 7), (None, "a.csv", "a.csv")],
)
def test_the_setting_of_a_served_model(monkeypatch, recorded, variable, expected):
    monkeypatch.delenv("METAMODEL_PRELOAD", raising=False)
    if variable is not None:
        monkeypatch.setenv("METAMODEL_PRELOAD", variable)
    assert preload_setting(recorded) == expected


def test_a_model_that_preloads_nothing_says_so(bundle):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(bundle).stats()["preload"] is None
