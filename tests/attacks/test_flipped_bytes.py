"""Bytes that change on disk: an answer is right, or it is none, whichever file they stand in."""

import random
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bundles import flip

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.common.byte_cache import ByteCache
from metamodel.exceptions import MetaModelError

FLIPS = 2_000


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(60 * 8, 3)), columns=["a", "b", "y"])
    return rows.assign(shop=np.repeat([f"s{i}" for i in range(60)], 8))


@pytest.fixture(scope="module")
def bundle(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with all that a bundle can hold: a compressed shard, a stack, values of groups, a parent."""
    options = {"unknown": "fallback", "interval": 0.8, "shrinkage": "relative", "stack": True, "n_jobs": 1}
    path = tmp_path_factory.mktemp("flipped") / "bundle"
    return metamodel.train(table, "shop", "y", "ridge", output_dir=path, **options).bundle_path  # type: ignore[arg-type]


def _asked(path: Path, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Answers and ledger of a bundle; None where it cannot be opened or read, and says so."""
    try:
        model = MetaModel(path, ByteCache(2**24))
        return model.predict(rows), model.ledger
    except MetaModelError:
        return None


def test_no_flipped_byte_gives_a_wrong_answer_or_an_error_that_is_not_ours(
    bundle: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    rows = table.groupby("shop").head(1).iloc[::6].assign(shop=lambda few: few["shop"].where(few.index > 0, "nobody"))
    first = _asked(bundle, rows)
    assert first is not None
    answers, ledger = first
    files = [path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file()]
    chance, outcomes = random.Random(0), {"as before": 0, "failed": 0, "refused": 0}
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    for number in range(FLIPS):
        name = files[number % len(files)]
        size = (bundle / name).stat().st_size
        # Headers are where one byte does most.
        position = chance.randrange(min(size, 200) if number % 2 else size)
        flip(copy / name, position, 1 << chance.randrange(8))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # stacks say that they are damaged
            again = _asked(copy, rows)
        shutil.copyfile(bundle / name, copy / name)
        if again is None:
            outcomes["refused"] += 1
            continue
        pd.testing.assert_frame_equal(again[1], ledger)
        failed = again[0]["status"] == "failed"
        np.testing.assert_allclose(again[0]["prediction"][~failed], answers["prediction"][~failed], rtol=1e-9)
        assert again[0].loc[failed, "prediction"].isna().all()
        assert again[0].loc[~failed, "status"].tolist() == answers.loc[~failed, "status"].tolist()
        outcomes["failed" if failed.any() else "as before"] += 1
    assert sum(outcomes.values()) == FLIPS
    assert min(outcomes.values()) > 0


def test_swapped_shards_and_files_of_another_training_fail(bundle: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    """The same table with its features in another order: shards of the same size, whose children mean other columns."""
    other = metamodel.train(
        table, "shop", "y", "ridge", features=["b", "a"], output_dir=tmp_path / "other", n_jobs=1, stack=False
    ).bundle_path
    mine = metamodel.train(
        table, "shop", "y", "ridge", features=["a", "b"], output_dir=tmp_path / "mine", n_jobs=1, stack=False
    ).bundle_path
    name = "shards/00000.sqlite"
    assert (mine / name).stat().st_size == (other / name).stat().st_size
    shutil.copyfile(other / name, mine / name)
    assert set(MetaModel(mine, ByteCache(2**24)).predict(table)["status"]) == {"failed"}


@pytest.mark.parametrize("stack", [False, True])
def test_a_directory_that_is_trained_again_while_it_is_served_never_answers_with_the_new_model(
    table: pd.DataFrame, tmp_path: Path, stack: bool
) -> None:
    options = {"output_dir": tmp_path / "served", "n_jobs": 1, "stack": stack}
    metamodel.train(table, "shop", "y", "ridge", features=["a", "b"], **options)  # type: ignore[arg-type]
    served = MetaModel(tmp_path / "served", ByteCache(0))
    before = served.predict(table.iloc[:80])
    metamodel.train(table, "shop", "y", "ridge", features=["b", "a"], **options)  # type: ignore[arg-type]

    def check(answers: pd.DataFrame) -> None:
        failed = answers["status"] == "failed"
        np.testing.assert_array_equal(answers["prediction"][~failed], before["prediction"][~failed])
        assert answers.loc[failed, "prediction"].isna().all()

    check(served.predict(table.iloc[:80]))  # from files that are open
    with ThreadPoolExecutor(1) as pool:  # a thread that opens its own
        check(pool.submit(served.predict, table.iloc[:80]).result())
    late = MetaModel(tmp_path / "served", ByteCache(0)).predict(table.iloc[:80])
    assert set(late["status"]) == {"child"}


def test_a_shard_that_is_overwritten_in_place_while_it_is_served_fails(table: pd.DataFrame, tmp_path: Path) -> None:
    options = {"n_jobs": 1, "stack": False}
    for name, features in (("mine", ["a", "b"]), ("other", ["b", "a"])):
        metamodel.train(table, "shop", "y", "ridge", features=features, output_dir=tmp_path / name, **options)  # type: ignore[arg-type]
    served = MetaModel(tmp_path / "mine", ByteCache(0))
    assert set(served.predict(table.iloc[:8])["status"]) == {"child"}
    content = (tmp_path / "other/shards/00000.sqlite").read_bytes()
    (tmp_path / "mine/shards/00000.sqlite").write_bytes(content)
    assert set(served.predict(table)["status"]) == {"failed"}
    (tmp_path / "mine/shards/00000.sqlite").write_bytes(b"")  # and cut: the process lives
    assert set(served.predict(table)["status"]) == {"failed"}
