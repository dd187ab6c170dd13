"""Stacks on disk: found by key, read when they are first asked for, and never believed where they are damaged."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import places
import pytest
from stacked import flip_last, keys_in_stack, write_over

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.bundle.reader import Bundle
from metamodel.bundle.stored_stacks import StoredStack, open_stacks
from metamodel.exceptions import InvalidKey
from metamodel.tables.keys import decode_keys

N_GROUPS = 600


def table_of(kind: str) -> pd.DataFrame:
    """Six hundred groups of four rows, keyed by a text or by a text and a number."""
    x = np.random.default_rng(0).normal(size=(4 * N_GROUPS, 2))
    group = np.repeat(np.arange(N_GROUPS), 4)
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(y=x[:, 0] * (1 + group) - x[:, 1], shop=[f"s{g}" for g in group])
    return frame if kind == "text" else frame.assign(department=group % 7)


KINDS = ["text", "pair"]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def table(kind: str) -> pd.DataFrame:
    return table_of(kind)


def roles(table: pd.DataFrame) -> list[str]:
    return [name for name in ("shop", "department") if name in table]


def keys_in(table: pd.DataFrame) -> list[tuple]:
    return list(dict.fromkeys(table[roles(table)].itertuples(index=False, name=None)))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stacked")
    for kind in KINDS:
        table = table_of(kind)
        metamodel.train(table, roles(table), "y", n_jobs=1, holdout=0, output_dir=folder / kind)
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(scope="module")
def stacked(kind: str, bundles: dict[str, Path]) -> Path:
    return bundles[kind]


@pytest.fixture
def bundle(stacked: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(stacked, tmp_path / "bundle"))


def opened(bundle: Path) -> StoredStack:
    (stack,) = open_stacks(bundle, Bundle(bundle).manifest)
    return stack


def answers(stack: StoredStack, table: pd.DataFrame, keys: Sequence[tuple]) -> list[float]:
    """What the stack says of the first row of each group."""
    first = dict(zip(keys_in(table), table.drop_duplicates(roles(table)).index, strict=True))
    rows = table.loc[[first[key] for key in keys]]
    columns = [rows[name].to_numpy() for name in ("a", "b")]
    return stack.answer(columns, stack.positions(keys), proba=False)[0].tolist()


@pytest.mark.parametrize("n_keys", [1, 5, N_GROUPS])
def test_a_stack_answers_as_its_children_do_however_many_are_asked(
    bundle: Path, table: pd.DataFrame, n_keys: int
) -> None:
    stack, children, keys = opened(bundle), Bundle(bundle), keys_in(table)[-n_keys:]
    assert stack.takes(proba=False)
    assert not stack.takes(proba=True)
    rows = table.drop_duplicates(roles(table))[["a", "b"]].to_numpy()[-n_keys:]
    expected = [children.load(key)[0].predict(row[None])[0] for key, row in zip(keys, rows, strict=True)]
    np.testing.assert_allclose(answers(stack, table, keys), expected, rtol=1e-9)
    versions = [children.load(key)[1][:12] for key in keys]
    assert stack.versions(stack.positions(keys)).tolist() == versions


@pytest.mark.parametrize("n_keys", [2, N_GROUPS])
def test_a_key_without_a_child_has_no_place(bundle: Path, table: pd.DataFrame, n_keys: int) -> None:
    keys = keys_in(table)[:n_keys]
    stack = opened(bundle)
    assert stack.takes(proba=False)
    places = stack.positions([*keys, ("nobody", 1)[: len(keys[0])], InvalidKey("none"), ()])
    assert places[-3:].tolist() == [-1, -1, -1]
    assert sorted(set(places[:-3].tolist())) == sorted(places[:-3].tolist())
    assert places[:-3].min() >= 0


def test_damaged_numbers_leave_their_groups_to_the_children_and_say_so_once(bundle: Path, table: pd.DataFrame) -> None:
    stack = opened(bundle)
    flip_last(bundle, "versions")  # of the last child, in the last block
    (last,) = stack_keys(bundle)[-1:]
    with pytest.warns(RuntimeWarning, match=r"Stack stacks/00000 of bundle is damaged: .* Their children answer"):
        assert (stack.takes(proba=False), stack.positions([last]).tolist()) == (True, [-1])
    damaged = stack.damaged_keys()
    assert last in decode_keys(damaged)
    assert 0 < len(damaged) == stack.damaged < N_GROUPS
    intact = [key for key in keys_in(table) if key not in decode_keys(damaged)]
    assert (stack.positions(intact) >= 0).all()


@pytest.mark.parametrize("array", ["index", "digests"])
def test_without_its_index_or_digests_a_stack_answers_nothing(bundle: Path, array: str) -> None:
    flip_last(bundle, array)
    stack = opened(bundle)
    with pytest.warns(RuntimeWarning, match=r"00000\.arrays is not what was written\. Restore"):
        assert not stack.takes(proba=False)
    assert stack.damaged == N_GROUPS


def test_a_damaged_list_of_keys_makes_large_batches_slower_and_no_less_right(bundle: Path, table: pd.DataFrame) -> None:
    keys = keys_in(table)
    expected = answers(ready(opened(bundle)), table, keys)
    flip_last(bundle, "keys")
    stack = ready(opened(bundle))
    with pytest.warns(RuntimeWarning, match="Restore the bundle"):
        found = answers(stack, table, keys)
    assert found == expected


def test_a_stack_that_somebody_writes_over_answers_nothing_any_more(bundle: Path, table: pd.DataFrame) -> None:
    stack, keys = opened(bundle), keys_in(table)
    assert answers(ready(stack), table, keys)
    positions = stack.positions(keys)
    write_over(bundle / "stacks/00000.arrays")
    rows = table.drop_duplicates(roles(table))
    with pytest.warns(RuntimeWarning, match="is damaged: it was changed after it was opened"):
        answered = stack.answer([rows[name].to_numpy() for name in ("a", "b")], positions, proba=False)[2]
    assert answered is not None
    assert not answered.any()
    assert not stack.takes(proba=False)
    assert stack.damaged == N_GROUPS


def test_a_stack_that_another_one_takes_the_place_of_answers_as_before(bundle: Path, table: pd.DataFrame) -> None:
    stack, keys = ready(opened(bundle)), keys_in(table)
    expected = answers(stack, table, keys)
    path = bundle / "stacks/00000.arrays"
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)
    assert answers(stack, table, keys) == expected


def ready(stack: StoredStack) -> StoredStack:
    assert stack.takes(proba=False)
    return stack


def stack_keys(bundle: Path) -> list[tuple]:
    """Keys in the order of the stack."""
    return decode_keys(keys_in_stack(bundle))


# Opens stacks, asks all of them, opens them as if a child were in none; or first as the server does. After each, has it
# imported scikit-learn? Both ways begin with what a process has that has imported the same and opened nothing; what
# scikit-learn imports takes most of its time, and is there before, once for all four.
_IMPORTS = """
import dataclasses, json, os, sys
import joblib, scipy.optimize, scipy.sparse.linalg, scipy.stats
import pandas as pd
import metamodel.serving.app
from metamodel.bundle.model import MetaModel
from metamodel.bundle.stored_stacks import open_stacks

def told(bundle, rows, served):
    model, found = MetaModel(bundle), []
    found.append("sklearn" in sys.modules)
    if served:
        import metamodel.serving
        metamodel.serving._scorer(metamodel.serving.app.Limits(), None, None, bundle, "")
    answered = model.predict(pd.read_parquet(rows))
    found.append("sklearn" in sys.modules)
    open_stacks(model.bundle.path, dataclasses.replace(model.manifest, stacks=model.manifest.stacks[1:]))
    found.append("sklearn" in sys.modules)
    return [served, found, answered.to_numpy().tolist()]

for bundle, rows in zip(sys.argv[1::2], sys.argv[2::2]):
    for served in (False, True):
        process = os.fork()
        if process == 0:
            print(json.dumps(told(bundle, rows, served)), flush=True)
            os._exit(0)
        assert os.waitpid(process, 0)[1] == 0, served
"""


def test_only_who_serves_or_leaves_groups_to_their_children_imports_scikit_learn(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    arguments, expected = [], []
    for kind, bundle in bundles.items():
        table_of(kind).to_parquet(tmp_path / kind)
        arguments += [str(bundle), str(tmp_path / kind)]
        answered = MetaModel(bundle).predict(table_of(kind)).to_numpy().tolist()
        expected += [[served, [False, served, True], answered] for served in (False, True)]
    program = [sys.executable, "-c", _IMPORTS, *arguments]
    environment = {**os.environ, "PYTHONPATH": places.IMPORTS}
    run = subprocess.run(program, capture_output=True, text=True, env=environment, check=True, timeout=300)
    assert [json.loads(line) for line in run.stdout.splitlines()] == expected
