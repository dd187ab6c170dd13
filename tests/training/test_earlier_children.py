"""Where warm starts come from: each group's own earlier child, or the reason why there is none."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spark_tables import assert_same_ledger
from warm_starts import FOREST, fit, grown, table

from metamodel.bundle.model import MetaModel


def test_a_group_goes_on_from_its_earlier_child_and_the_ledger_says_so(tmp_path: Path) -> None:
    before = fit(table(), output_dir=tmp_path / "before")
    after = fit(grown(), previous=before.bundle_path, warm_start=True)
    old, new = (result.ledger.set_index("shop") for result in (before, after))
    assert new.loc[["a", "b"], "started_from"].tolist() == old["sha256"].tolist()
    assert new.loc["c", ["started_from", "reason"]].tolist() == ["", "cold_start: no such group before"]
    assert after.summary["groups_warm"] == 2
    assert after.manifest.options["warm_start"] is True
    first, second = MetaModel(before.bundle_path).child("a"), MetaModel(after.bundle_path).child("a")
    assert (len(first.estimators_), len(second.estimators_), second.warm_start) == (5, 10, False)
    assert all((a.tree_.value == b.tree_.value).all() for a, b in zip(first, second, strict=False))
    assert len(MetaModel(after.bundle_path).child("c").estimators_) == 5


def test_a_third_version_goes_on_from_the_second() -> None:
    versions = [fit(table())]
    for _ in range(2):
        versions.append(fit(grown(), previous=versions[-1].bundle_path, warm_start=True))
    assert [len(MetaModel(one.bundle_path).child("b").estimators_) for one in versions] == [5, 10, 15]


def test_parents_go_on_from_parents() -> None:
    before = fit(table(), unknown="fallback", prune=False)
    after = fit(grown(), unknown="fallback", prune=False, previous=before.bundle_path, warm_start=True)
    assert after.ledger["started_from"].tolist()[-1] == before.ledger["sha256"].tolist()[-1] != ""


@pytest.mark.spark
def test_spark_brings_each_group_its_earlier_child(spark: Any) -> None:
    before = MetaModel(fit(table(), unknown="fallback", prune=False, pooled=False).bundle_path)
    options = {"previous": before, "warm_start": True, "unknown": "fallback", "prune": False}
    local = fit(grown(), **options)
    on_spark = fit(spark.createDataFrame(grown()), engine="spark", **options)
    assert_same_ledger(local.ledger, on_spark.ledger)
    assert (on_spark.ledger["started_from"] != "").tolist() == [True, True, False, True]
    models = [MetaModel(result.bundle_path) for result in (local, on_spark)]
    answers = [model.predict(grown())["prediction"] for model in models]
    np.testing.assert_allclose(*answers, rtol=1e-9)


def test_a_task_that_was_done_is_not_taken_for_one_from_another_start(tmp_path: Path) -> None:
    from metamodel.training.earlier_children import Starts
    from metamodel.training.engines.job import Job
    from metamodel.training.engines.task import Task
    from metamodel.training.options import TrainingOptions
    from metamodel.training.plan import make_plan

    bundles = [MetaModel(fit(table(seed=seed)).bundle_path).bundle for seed in (0, 1)]
    plan = make_plan(grown(), TrainingOptions.create("shop", target="y", warm_start=True), FOREST, None, None)
    task = Task(tuple(plan.groups()))
    digests = {Job(plan, tmp_path, 1.0, starts).digest(task) for starts in (None, *map(Starts, bundles))}
    assert len(digests) == 3


def test_a_group_that_failed_before_has_nothing_to_go_on_from() -> None:
    before = fit(table(), min_rows=41, overrides=[{"shop": "a", "min_rows": 2}])
    warm = fit(table(), previous=before.bundle_path, warm_start=True)
    assert warm.ledger["reason"].tolist() == ["", "cold_start: no child before (skipped)"]


def test_a_damaged_child_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    path = fit(table(), output_dir=tmp_path / "before").bundle_path
    (shard,) = (path / "shards").iterdir()
    with closing(sqlite3.connect(shard)) as connection:
        connection.execute("UPDATE children SET child = zeroblob(10) WHERE key = '[\"a\"]'")
        connection.commit()
    assert shard.stat().st_size == MetaModel(path).manifest.files["shards/00000.sqlite"].size
    warm = fit(table(), previous=path, warm_start=True)
    assert warm.ledger["reason"].tolist() == ["cold_start: the earlier child is damaged", ""]
