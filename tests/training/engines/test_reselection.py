"""Which groups are fitted again: those whose own rows favour another candidate than all groups together."""

from dataclasses import replace

import pytest
from engine_jobs import job_of
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from metamodel.bundle.ledger import LedgerRow
from metamodel.evaluation.pooled_selection import Contest
from metamodel.tables.keys import encode_key
from metamodel.training.engines.reselection import Choices


@pytest.fixture
def plan(tmp_path):
    return job_of(tmp_path, {"line": Ridge(), "tree": DecisionTreeRegressor()}, groups=9).plan


def row(shop, line, tree, noise=1.0, rows=4.0):
    """A contest of which the better candidate is known up to `noise` a row."""
    best = "line" if line < tree else "tree"
    contest = Contest("rmse", ("line", "tree"), (line, tree), ((noise,), ()), rows, best)
    return LedgerRow(encode_key((shop,)), 1, "fitted", 10, candidate=best, own_best=best, contest=contest)


# Eight groups for the line, and one that is for the tree by less than the noise.
NOISY = [*(row(shop, 1.0, 2.0) for shop in range(8)), row(8, 1.02, 1.0)]


def test_a_group_that_noise_decided_is_planned_again_with_the_others_candidate_alone(plan):
    choices = Choices(plan.spec)
    choices.learn(NOISY)
    again = choices.plan_again(plan)
    assert list(again.spec.overrides) == [(8,)]
    spec = again.spec.overrides[8,]
    assert ([candidate.name for candidate in spec.candidates], spec.metric, spec.overrides) == (["line"], "rmse", {})
    assert again.digest != plan.digest


def test_nobody_is_planned_again_where_all_agree(plan):
    choices = Choices(plan.spec)
    choices.learn(NOISY[:8])
    assert choices.plan_again(plan) is None


def test_a_group_with_candidates_of_its_own_neither_decides_nor_is_decided(plan):
    (line, tree) = plan.spec.candidates
    own = replace(plan.spec, candidates=(line, replace(tree, params='{"max_depth": 2}')))
    choices = Choices(replace(plan.spec, overrides={(8,): own}))
    choices.learn(NOISY)
    assert choices.plan_again(plan) is None


def test_groups_without_a_contest_are_left_alone(plan):
    choices = Choices(plan.spec)
    choices.learn([LedgerRow("[1]", 1, "skipped", 1)])
    assert choices.plan_again(plan) is None


def test_groups_that_are_carried_have_a_say_and_nothing_is_chosen_for_them(plan):
    voters = {one.key: one.contest for one in NOISY[:8] if one.contest is not None}
    choices = Choices(plan.spec, {**voters, NOISY[8].key: NOISY[8].contest})
    assert choices.plan_again(plan) is None
    choices = Choices(plan.spec, voters)
    choices.learn(NOISY[8:])
    assert list(choices.plan_again(plan).spec.overrides) == [(8,)]
