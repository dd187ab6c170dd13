"""Choosing with the help of other groups: who needs no help keeps its own best, and noise decides nothing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metamodel.evaluation import pooled_selection as choosing
from metamodel.evaluation.pooled_selection import Contest, choose_together
from metamodel.evaluation.predictions import Predictions

pytestmark = pytest.mark.tableless

NAMES = ("line", "tree", "mean")


def answers(errors, weights=None):
    errors = np.asarray(errors, dtype=float)
    return Predictions(np.zeros(len(errors)), errors, None, np.empty(0), weights)


def contest(scales, rows, rng, weights=None):
    """Errors of each candidate with these spreads, half of them common to all."""
    common = rng.normal(size=rows)
    judged = {
        name: answers(scale * (common + rng.normal(size=rows))) for name, scale in zip(NAMES, scales, strict=False)
    }
    means = {name: np.abs(one.predicted).mean() for name, one in judged.items()}
    return Contest.of(judged, "mae", min(means, key=lambda name: means[name]))


def contests(groups, scales_of, rows, seed=0):
    rng = np.random.default_rng(seed)
    return {f"[{i}]": contest(scales_of(i), rows, rng) for i in range(groups)}


def after(given, chosen):
    return [chosen.get(key, one.best) for key, one in given.items()]


def test_groups_that_differ_by_noise_alone_take_one_candidate():
    given_ = contests(60, lambda i: (1.0, 1.2), 8)
    own = [one.best for one in given_.values()]
    assert 5 < own.count("tree") < 30
    assert set(after(given_, choose_together(given_))) == {"line"}


def test_groups_that_differ_clearly_keep_their_own_best():
    given_ = contests(40, lambda i: (1.0, 2.0) if i % 2 else (2.0, 1.0), 100)
    assert choose_together(given_) == {}


def test_more_groups_take_their_true_best_than_by_their_own_rows():
    given_ = contests(200, lambda i: (1.0, 1.6, 1.3) if i % 4 else (1.9, 1.0, 1.5), 12)
    true = ["line" if i % 4 else "tree" for i in range(200)]
    own = sum(one.best == best for one, best in zip(given_.values(), true, strict=True))
    together = sum(a == b for a, b in zip(after(given_, choose_together(given_)), true, strict=True))
    assert own < 180 < together


def test_neighbouring_gains_stand_for_those_of_many_groups(monkeypatch):
    given_ = contests(300, lambda i: (1.0, 1.4) if i % 3 else (1.8, 1.0), 15)
    exact = after(given_, choose_together(given_))
    monkeypatch.setattr(choosing, "_SUPPORT", 60)
    monkeypatch.setattr(choosing, "_CHUNK", 7)
    few = after(given_, choose_together(given_))
    assert np.mean([a == b for a, b in zip(exact, few, strict=True)]) > 0.98


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(2, 30), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_neither_the_order_of_groups_nor_the_scale_of_the_target_plays_a_part(groups, rows, seed, random):
    given_ = contests(groups, lambda i: (1.0, 1.1, 0.9 + i / 10), rows, seed)
    chosen = choose_together(given_)
    shuffled = list(given_.items())
    random.shuffle(shuffled)
    assert choose_together(dict(shuffled)) == chosen
    larger = {
        key: Contest(one.metric, one.names, tuple(8 * loss for loss in one.losses), one.noise, one.rows, one.best)
        for key, one in given_.items()
    }
    assert choose_together(larger) == chosen


def test_a_group_by_itself_is_decided_by_its_own_rows():
    assert choose_together(contests(1, lambda i: (1.0, 1.01), 4)) == {}


@pytest.mark.parametrize("rows", [40, 10_000])
def test_a_few_groups_unlike_very_many_others_keep_what_their_own_rows_say_clearly(rows):
    rng = np.random.default_rng(0)

    def of(gap, rows):
        losses = (1.0, (2 + gap) / (2 - gap))
        return Contest("mae", ("line", "tree"), losses, ((0.5,), ()), rows, "tree" if gap < 0 else "line")

    usual = {f"[{i}]": of(0.3 + np.sqrt(0.5 / 40) * rng.normal(), 40) for i in range(5000)}
    unlike = {f"[-{i}]": of(-5 * np.sqrt(0.5 / rows), rows) for i in range(3)}
    chosen = choose_together(usual | unlike)
    assert not unlike.keys() & chosen.keys()
    assert {key for key, one in usual.items() if one.best == "tree"} == chosen.keys()


def test_rounding_decides_nothing():
    rng = np.random.default_rng(0)
    alike = {}
    for i in range(20):
        errors = np.abs(rng.normal(size=30 + i))
        # Sums of the same numbers in another order.
        judged = {name: answers(rng.permutation(errors)) for name in NAMES}
        one = Contest.of(judged, "rmse", "line")
        alike[f"[{i}]"] = Contest(one.metric, one.names, one.losses, ((0.0, 0.0), (0.0,), ()), one.rows, one.best)
        assert choose_together({"[0]": one}) == {}
    assert len({loss for one in alike.values() for loss in one.losses}) > len(alike)
    assert choose_together(alike) == {}


def test_candidates_without_an_error_or_with_an_infinite_one_do_no_harm():
    rng = np.random.default_rng(0)
    given_ = contests(20, lambda i: (1.0, 1.3), 20)
    infinite = {"line": answers([np.inf] * 5), "tree": answers(rng.normal(size=5))}
    given_["exact"] = Contest.of({"line": answers([0.0] * 5), "tree": answers([0.0] * 5)}, "mae", "line")
    given_["infinite"] = Contest.of(infinite, "mae", "tree")
    given_["lacking"] = Contest("mae", ("tree", "mean"), (1.0, 2.0), ((0.5,), ()), 10.0, "tree", ("line failed",))
    chosen = choose_together(given_)
    assert not {"exact", "infinite", "lacking"} & set(chosen)


@pytest.mark.parametrize("size", [1e90, 1e-90])
def test_a_group_with_huge_or_tiny_errors_does_not_keep_the_others_from_having_a_say(size):
    rng = np.random.default_rng(0)
    given_ = contests(60, lambda i: (1.0, 1.2), 8)
    chosen = choose_together(given_)
    errors = rng.normal(size=(2, 8)) * [[1.0], [1.2]]
    of_size = {
        scale: Contest.of({"line": answers(scale * errors[0]), "tree": answers(scale * errors[1])}, "rmse", "line")
        for scale in (1.0, size)
    }
    assert of_size[size].gain("line", "tree") == pytest.approx(of_size[1.0].gain("line", "tree"))
    assert choose_together({**given_, "[60]": of_size[size]}) == chosen != {}


def test_what_cannot_be_compared_row_by_row_is_no_contest():
    one = answers([1.0, 2.0])
    assert Contest.of({"line": one}, "mae", "line") is None
    assert Contest.of({"line": one, "tree": one}, "f1_macro", "line") is None
    weightless = answers([1.0, 2.0], np.zeros(2))
    assert Contest.of({"line": weightless, "tree": weightless}, "mae", "line") is None


def test_the_noise_is_that_of_the_gain():
    rng = np.random.default_rng(0)
    first, second = np.abs(rng.normal(size=(2, 2000))) * [[1.0], [1.5]]

    def gap(one, other):
        return 2 * (one.mean() - other.mean()) / (one.mean() + other.mean())

    found, noise = Contest.of({"line": answers(first), "tree": answers(second)}, "mae", "line").gain("line", "tree")
    again = [gap(first[rows], second[rows]) for rows in rng.integers(0, 2000, size=(500, 2000))]
    assert found == pytest.approx(gap(first, second))
    assert np.sqrt(noise / 2000) == pytest.approx(np.std(again), rel=0.15)


def test_weights_count_like_copies_of_rows():
    errors = {"line": [1.0, 3.0, 2.0], "tree": [2.0, 1.0, 4.0]}
    weights = np.array([2.0, 1.0, 1.0])
    weighted = Contest.of({name: answers(e, weights) for name, e in errors.items()}, "mae", "line")
    copied = Contest.of({name: answers([e[0], *e]) for name, e in errors.items()}, "mae", "line")
    assert weighted.gain("line", "tree") == pytest.approx(copied.gain("line", "tree"))
    assert weighted.rows == pytest.approx(16 / 6)


def test_a_contest_travels_as_json():
    one = contest((1.0, 1.2, 1.1), 7, np.random.default_rng(0))
    assert Contest.from_dict(json.loads(json.dumps(one.to_dict()))) == one
