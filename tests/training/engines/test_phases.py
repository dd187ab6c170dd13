"""Phases: with tuning parents come first, and their children are told what they found."""

import math
import time
from dataclasses import replace

import pytest
from engine_jobs import job_of

from metamodel.bundle.ledger import LedgerRow
from metamodel.fitting.spec import TuningSpec
from metamodel.fitting.tuning import Found
from metamodel.training.engines.phases import Phase, Phases, best_found, parents_best

SIZES = {("a", 1): 10, ("a", 2): 20, ("b", 1): 30, ("a",): 30, ("b",): 30, (): 60}


@pytest.fixture
def plan(tmp_path):
    """Two group columns, and parents of both levels."""
    plan = job_of(tmp_path).plan
    keys = replace(plan.keys, columns=plan.keys.columns * 2)
    return replace(plan, keys=keys, levels=(1, 0))


def tuned(plan):
    return replace(plan, spec=replace(plan.spec, tuning=TuningSpec({}, 1, 0, None, None, 0)))


def search(candidate, params, latest=None):
    return {"candidate": candidate, "params": params, "latest": latest}


def test_without_tuning_all_levels_are_one_phase(plan):
    (phase,) = Phases(plan, SIZES, 2, math.inf)
    assert (dict(phase.sizes), phase.first, phase.has_end) == (SIZES, {}, False)


def test_with_tuning_every_level_waits_for_its_parents(plan):
    phases = Phases(tuned(plan), SIZES, 2, math.inf)
    assert [list(phase.sizes) for phase in phases] == [[()], [("a",), ("b",)], [("a", 1), ("a", 2), ("b", 1)]]


def test_a_level_without_groups_is_no_phase(plan):
    sizes = {key: rows for key, rows in SIZES.items() if len(key) != 1}
    assert [list(phase.sizes) for phase in Phases(tuned(plan), sizes, 2, math.inf)] == [
        [()],
        [("a", 1), ("a", 2), ("b", 1)],
    ]


def test_what_parents_found_is_told_to_the_phases_behind_them(plan):
    phases = Phases(tuned(plan), SIZES, 2, math.inf)
    first = []
    for phase in phases:
        first.append(phase.first)
        phases.learn([LedgerRow("[]", 0, "fitted", 60, tuning=(search("ridge", {"alpha": 2.0}),))])
    assert first == [{}, *[{(): Found({"ridge": {"alpha": 2.0}})}] * 2]


def test_groups_that_are_fitted_again_start_from_what_all_others_found(plan):
    phases = Phases(tuned(plan), SIZES, 2, math.inf)
    phases.learn([LedgerRow('["a"]', 1, "fitted", 30, tuning=(search("ridge", {"alpha": 2.0}),))])
    again = phases.again([("b", 1), ("a", 1)])
    assert (again.sizes, again.first) == ({("b", 1): 30, ("a", 1): 10}, {("a",): Found({"ridge": {"alpha": 2.0}})})


def test_time_is_shared_out_over_the_phases_and_the_last_one_has_it_all(plan):
    end = time.monotonic() + 1000
    ends = [phase.end for phase in Phases(tuned(plan), SIZES, 1, end)]
    assert ends == sorted(ends)
    assert ends[0] < end - 100
    assert ends[-1] == pytest.approx(end, abs=1.0)
    assert Phases(tuned(plan), SIZES, 1, end).again([("a", 1)]).has_end


def test_a_phase_tells_some_groups_what_their_own_parents_found():
    found = {key: Found({"ridge": {"alpha": float(len(key))}}) for key in [("a",), (), ("b",)]}
    phase = Phase(SIZES, found, math.inf)
    assert list(phase.first_of([("a", 1), ("a", 2)])) == [(), ("a",)]
    assert phase.first_of([()]) == {}


def test_the_nearest_parent_counts():
    best = {(): Found({"ridge": {"alpha": 1.0}}), ("a",): Found({"ridge": {"alpha": 2.0}})}
    assert parents_best(("a", 1), best).params == {"ridge": {"alpha": 2.0}}
    assert parents_best(("b", 1), best).params == {"ridge": {"alpha": 1.0}}
    assert parents_best((), best) == Found({})


def test_searches_that_found_nothing_better_are_not_told():
    rows = [
        LedgerRow("[1]", 1, "fitted", 9, tuning=(search("ridge", {"alpha": 1.0}, 5.0), search("tree", {}, 9.0))),
        LedgerRow("[2]", 1, "fitted", 9, tuning=(search("ridge", {}),)),
    ]
    assert best_found(rows) == {(1,): Found({"ridge": {"alpha": 1.0}}, 5.0)}
