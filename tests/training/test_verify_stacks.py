"""Children are proven in one process or in several, with the same result; who kills a process is left out alone."""

import os
import pickle
import time

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor
from stacked import SCHEMA

import metamodel
from metamodel.bundle.shard_writer import ShardWriter
from metamodel.bundle.shards import ShardRow
from metamodel.exceptions import CorruptBundle
from metamodel.prediction.stacks.linear import LinearProgram
from metamodel.training import verify_stacks as proving
from metamodel.training.verify_stacks import Part, proven_children


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch):
    monkeypatch.setattr(proving, "_WORTH_SECONDS", -1.0)


def matrix(seed):
    return np.random.default_rng(seed).normal(size=(20, 3))


def children():
    kinds = [Ridge, DecisionTreeRegressor, KNeighborsRegressor, Ridge, Ridge, Ridge]
    return {f'["{i}"]': kind().fit(matrix(i), matrix(i)[:, 0]) for i, kind in enumerate(kinds)}


def parts(path, blobs, end=float("inf")):
    """A part for every two children."""
    with ShardWriter(path) as shard:
        for key, blob in blobs.items():
            shard.add(ShardRow.of_child(key, 1, "", blob, 1))
    keys = list(blobs)
    return [Part(path, tuple(keys[i : i + 2]), SCHEMA, (), "cloudpickle", end) for i in range(0, len(keys), 2)]


def rows_of(key):
    return None if key == '["5"]' else matrix(int(key[2:-2]))


def proven(of_parts, n_jobs, scratch):
    refused = {}
    found = [one for some in proven_children(of_parts, rows_of, refused, n_jobs, scratch) for one in some]
    return {one.key: pickle.dumps(one) for one in found}, refused


@pytest.mark.slow
def test_several_processes_find_what_one_finds(tmp_path):
    pytest.importorskip("numba")
    of_parts = parts(tmp_path / "shard", {key: cloudpickle.dumps(child) for key, child in children().items()})
    alone, together = proven(of_parts, 1, tmp_path), proven(of_parts, 2, tmp_path)
    assert (list(alone[0]), alone[1], [file.name for file in tmp_path.iterdir()]) == (
        ['["0"]', '["1"]', '["3"]', '["4"]'],
        {'["2"]': "no stack for KNeighborsRegressor", '["5"]': "no rows to compare on"},
        ["shard"],
    )
    assert together == alone


@pytest.mark.slow
def test_who_kills_the_process_is_left_out_with_its_part_and_no_other(tmp_path):
    class Killer(Ridge):
        def __setstate__(self, state):
            os._exit(1)

    blobs = {key: cloudpickle.dumps(child) for key, child in children().items()}
    blobs['["1"]'] = cloudpickle.dumps(Killer().fit(matrix(0), matrix(0)[:, 0]))
    found, refused = proven(parts(tmp_path / "shard", blobs), 2, tmp_path)
    killed = "the process that read it was killed (out of memory, or a crash in native code)"
    assert (list(found), refused['["0"]'], refused['["1"]']) == (['["3"]', '["4"]'], killed, killed)


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_damaged_child_ends_it_all(tmp_path, n_jobs):
    of_parts = parts(tmp_path / "shard", {key: cloudpickle.dumps(child) for key, child in children().items()})
    content = bytearray((tmp_path / "shard").read_bytes())
    content[content.index(b"KNeighbors") + 2] ^= 0xFF
    (tmp_path / "shard").write_bytes(content)
    with pytest.raises(CorruptBundle, match=r'The child of group \["2"\] in shard shard is damaged'):
        proven(of_parts, n_jobs, tmp_path)


def test_when_the_time_is_over_nobody_is_read(tmp_path):
    blobs = dict.fromkeys(children(), b"never read")
    found, refused = proven(parts(tmp_path / "shard", blobs, time.monotonic() - 1), 1, tmp_path)
    assert (found, set(refused.values())) == ({}, {"no time left in the budget"})


def test_one_child_that_cannot_be_compared_takes_no_other_with_it(tmp_path, monkeypatch):
    blobs = {key: cloudpickle.dumps(child) for key, child in children().items()}
    of = LinearProgram.of

    def failing(forms, classes):
        if any(form.intercept == odd for form in forms):
            raise ValueError("odd")
        return of(forms, classes)

    odd = pickle.loads(blobs['["4"]']).intercept_
    monkeypatch.setattr(LinearProgram, "of", failing)
    of_parts = parts(tmp_path / "shard", blobs)
    found, refused = proven([Part(of_parts[0].shard, tuple(blobs), SCHEMA, (), "cloudpickle", np.inf)], 1, tmp_path)
    assert ('["0"]' in found, '["3"]' in found, refused['["4"]']) == (True, True, "cannot be compared: ValueError: odd")


@pytest.mark.tableless
def test_stacks_are_the_same_whether_children_are_read_many_at_a_time_or_one_by_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "y"]).assign(g=np.repeat(range(40), 10))
    stored = {}
    for name in ("many", "one"):
        if name == "one":
            monkeypatch.setattr(proving, "answers_of_alike", lambda *_: {})
        result = metamodel.train(table, "g", "y", Ridge(), n_jobs=1, output_dir=tmp_path / name)
        assert result.ledger["stack"].tolist().count("") == 40
        stored[name] = {
            path.name: path.read_bytes() for path in sorted((tmp_path / name / "stacks").rglob("*")) if path.is_file()
        }
    assert stored["many"] == stored["one"]
