"""What is the same on every engine: in which order groups are fitted, and which of them once more."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from engine_jobs import run_here

from metamodel.bundle.ledger import LedgerRow
from metamodel.common.choices import EngineName
from metamodel.exceptions import InputError
from metamodel.fitting.tuning import Found
from metamodel.training.engines import ENGINES, get_engine
from metamodel.training.engines.base import Engine
from metamodel.training.engines.reselection import Choices
from metamodel.training.engines.task import Task, TaskResult
from metamodel.training.options import TrainingOptions
from metamodel.training.plan import make_plan


class NotedEngine(Engine):
    """Fits each phase as one task here, and notes what it was told."""

    _make_plan = staticmethod(make_plan)
    parallelism = 1
    head = None

    def _open(self, data, options):
        self.phases = []
        return data, "noted"

    def facts(self):
        raise NotImplementedError

    def _fit_phase(self, phase, job):
        self.phases.append((phase, job))
        groups = tuple(group for group in self.plan.groups() if group.key in phase.sizes)
        yield run_here(Task(groups, first=phase.first_of(phase.sizes), end=phase.end), job)

    def fresh_rows(self, through):
        return self.plan.fresh_rows(through)

    def fingerprints(self):
        return {group.key: group.fingerprint for group in self.plan.groups()}


def table(groups=8, rows=20):
    rng = np.random.default_rng(0)
    shop = np.repeat(np.arange(groups), rows)
    frame = pd.DataFrame(
        {"region": np.where(shop < groups // 2, "A", "B"), "shop": shop, "x": rng.normal(size=len(shop))}
    )
    return frame.assign(y=frame["x"] + rng.normal(size=len(shop)))


def engine(data=None, estimator="ridge", **options):
    checked = TrainingOptions.create(["region", "shop"], target="y", **options)
    return NotedEngine(table() if data is None else data, checked, estimator, None, ["x"])


def fitted(engine, directory):
    return list(engine.fit(math.inf, None, directory, 1.0))


def test_groups_above_the_row_limit_are_not_fitted(tmp_path):
    noted = engine(unknown="fallback", max_group_rows=100)
    (result,) = fitted(noted, tmp_path)
    assert {row.level for row in result.ledger} == {1, 2}
    assert max(noted.phases[0][0].sizes.values()) == 80


def test_where_no_group_is_small_enough_nothing_is_begun(tmp_path):
    noted = engine(max_group_rows=5)
    assert (fitted(noted, tmp_path), noted.phases) == ([], [])


def test_parents_are_fitted_before_their_children_only_where_parameters_are_searched(tmp_path):
    pytest.importorskip("optuna")
    plain = engine(unknown="fallback")
    fitted(plain, tmp_path)
    tuned = engine(unknown="fallback", tune={"ridge": {"alpha": {"low": 0.01, "high": 100.0, "log": True}}}, trials=2)
    (tmp_path / "tuned").mkdir()
    fitted(tuned, tmp_path / "tuned")
    levels = [[sorted({len(key) for key in phase.sizes}) for phase, _ in noted.phases] for noted in (plain, tuned)]
    assert levels == [[[0, 1, 2]], [[0], [1], [2]]]


class OneChoice(Choices):
    """The others' rows overrule the first shop's own choice, whatever it is."""

    def plan_again(self, plan):
        overrides = {("A", 0): replace(plan.spec, overrides={})}
        return replace(plan, spec=replace(plan.spec, overrides=overrides), digest="again")


def test_groups_that_the_others_decide_are_fitted_again_from_what_the_parents_found(tmp_path, monkeypatch):
    monkeypatch.setattr("metamodel.training.engines.base.Choices", OneChoice)
    noted = engine(unknown="fallback")
    found = {"candidate": "ridge", "params": {"alpha": 2.0}, "latest": None, "seconds": 0.0}
    fit_phase = NotedEngine._fit_phase

    def with_search(self, phase, job):
        for result in fit_phase(self, phase, job):
            yield TaskResult(result.shard, [*result.ledger, LedgerRow("[]", 0, "fitted", 1, tuning=(found,))], None, [])

    monkeypatch.setattr(NotedEngine, "_fit_phase", with_search)
    results = fitted(noted, tmp_path)
    assert [result.again for result in results] == [False, True]
    phase, job = noted.phases[1]
    assert (phase.sizes, phase.first, job.plan.digest) == (
        {("A", 0): 20},
        {(): Found({"ridge": {"alpha": 2.0}})},
        "again",
    )


def test_every_engine_of_the_option_is_there_and_is_an_engine():
    assert tuple(ENGINES) == get_args(EngineName)
    assert issubclass(get_engine("local"), Engine)


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match=r"engine='dask' is unknown. Use one of: local, spark"):
        get_engine("dask")


def test_what_is_half_an_engine_cannot_be_made():
    every = {"_fit_phase", "_open", "facts", "fingerprints", "fresh_rows", "head", "parallelism"}
    assert Engine.__abstractmethods__ == every
    half = type("Half", (Engine,), {})
    with pytest.raises(TypeError, match="abstract class Half"):
        half(table(), TrainingOptions.create("shop", target="y"), "ridge", None, None)
