"""A roll-out answers as its two models do, each for its own rows; nothing a challenger does costs an answer."""

import pickle
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rolled_out import has_answered, panel, rolled_out, trained, two_models, visitors

import metamodel
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.prediction.rollout.assignment import in_challenger, unit_hashes

OPTIONS: dict[str, dict[str, Any]] = {
    "stacked": {},
    "not stacked": {"stack": False},
    "intervals": {"interval": 0.9},
    "fallback": {"unknown": "fallback"},
    "trees": {"estimator": "decision_tree"},
    "blended": {"shrinkage": "equal"},
}

Models = tuple[metamodel.MetaModel, metamodel.MetaModel]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return two_models(tmp_path_factory.mktemp("models"))


def theirs(frame: pd.DataFrame, salt: str, fraction: float) -> Any:
    texts = [f'["{name}"]' if isinstance(name, str) else "" for name in frame["customer"]]
    return in_challenger(unit_hashes(texts, salt), fraction) & frame["customer"].notna().to_numpy()


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_row_is_answered_as_its_own_model_would(tmp_path: Path, kind: str) -> None:
    champion, challenger = two_models(tmp_path, **OPTIONS[kind])
    opened = rolled_out(tmp_path, champion, challenger, mode="ab", fraction=0.4, entity="customer", salt="s")
    frame = visitors()
    answers = opened.predict(frame, {"detail": True})
    chosen = theirs(frame, "s", 0.4)
    assert 0 < chosen.sum() < len(frame)
    assert answers["variant"].tolist() == np.where(chosen, "challenger", "champion").tolist()
    expected = champion.predict(frame, {"detail": True})
    other = challenger.predict(frame, {"detail": True})
    expected[chosen] = other[chosen]
    pd.testing.assert_frame_equal(answers.drop(columns=["variant", "error"]), expected.drop(columns="error"))
    one_by_one = pd.concat([opened.predict(frame.iloc[[i]], {"detail": True}) for i in range(len(frame))])
    np.testing.assert_allclose(one_by_one["prediction"], answers["prediction"], rtol=1e-12)
    assert one_by_one["variant"].tolist() == answers["variant"].tolist()


def test_a_group_that_only_one_model_knows_is_known_to_that_one_alone(tmp_path: Path) -> None:
    table = panel()
    champion = trained(tmp_path / "a", table[table["shop"] < 10])
    challenger = trained(tmp_path / "b", table[table["shop"] > 3])
    opened = rolled_out(tmp_path, champion, challenger, mode="ab", fraction=1.0, entity="customer")
    frame = pd.DataFrame({"shop": [0, 5, 11], "x": 1.0, "z": 1.0, "customer": "c"})
    assert opened.predict(frame)["status"].tolist() == ["unknown_group", "child", "child"]
    assert opened.predict(frame.assign(customer=None))["status"].tolist() == ["child", "child", "unknown_group"]


def test_the_shadow_answers_as_the_champion_alone_and_is_told_to_who_wants_to_know(
    tmp_path: Path, models: Models
) -> None:
    opened, frame = rolled_out(tmp_path, *models), visitors()
    pd.testing.assert_frame_equal(opened.predict(frame), models[0].predict(frame), check_exact=True)
    read = opened.route.read(frame)
    assert opened.answer(read).shadow is None
    opened.is_logged = opened.is_serving = True
    parts = [frame.iloc[:1], frame.iloc[1:9], frame]
    shadows = [opened.answer(opened.route.read(part)).shadow for part in parts]
    for part, shadow in zip(parts, shadows, strict=True):
        assert shadow is not None
        assert has_answered(shadow)
        expected = models[1].predict(part)
        np.testing.assert_allclose(np.asarray(shadow.prediction, dtype=float), expected["prediction"], rtol=1e-12)
        assert shadow.status == expected["status"].tolist()


def test_interleaved_rows_show_both_answers_in_an_order_that_stays(tmp_path: Path, models: Models) -> None:
    opened, frame = rolled_out(tmp_path, *models, mode="interleave", entity="customer", salt="s"), visitors()
    answers = opened.predict(frame, {"detail": True})
    first = theirs(frame, "s", 0.5)
    ours, others = (model.predict(frame)["prediction"].to_numpy() for model in models)
    np.testing.assert_array_equal(answers["prediction"], np.where(first, others, ours))
    np.testing.assert_array_equal(answers["prediction_other"], np.where(first, ours, others))
    assert list(answers)[:2] == ["prediction", "prediction_other"]
    pd.testing.assert_frame_equal(opened.predict(frame, {"detail": True}), answers)


def test_whole_groups_fall_to_a_model(tmp_path: Path, models: Models) -> None:
    opened, frame = rolled_out(tmp_path, *models, mode="canary", unit="group", fraction=0.5), visitors()
    variants = opened.predict(frame, {"detail": True}).groupby(frame["shop"])["variant"].unique()
    assert set(variants.map(len)) == {1}
    assert set(variants.map(lambda names: names[0])) == {"champion", "challenger"}


class Broken:
    """Children that do not answer as they should."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, x: Any) -> Any:
        return self.answer(x)


def raises(_: Any) -> Any:
    raise RuntimeError("planted")


@pytest.mark.parametrize("mode", ["shadow", "ab", "interleave"])
@pytest.mark.parametrize("fault", ["child", "all", "hang"])
def test_a_challenger_that_fails_costs_no_answer(
    tmp_path: Path, models: Models, mode: Any, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = rolled_out(tmp_path, *models, mode=mode, fraction=1.0, entity="customer", patience=0.05)
    opened.is_serving, released = True, threading.Event()
    assert opened.challenger is not None

    def answer(*_: Any, **__: Any) -> Any:
        if fault == "hang":
            released.wait(60)
        raise RuntimeError("planted")

    if fault == "child":
        monkeypatch.setattr(opened.challenger.bundle, "load", lambda *_, **__: (Broken(raises), "v"))
        monkeypatch.setattr(opened.challenger, "_stacks", [])
    else:
        monkeypatch.setattr(opened.challenger, "_answer", answer)
    frame = visitors().dropna()
    started = time.monotonic()
    answers = [opened.predict(frame, {"detail": True}) for _ in range(8)]
    assert time.monotonic() - started < 50  # and not the minute of one that hangs
    released.set()
    expected = models[0].predict(frame)
    for one in answers:
        pd.testing.assert_frame_equal(one[list(expected)], expected, check_exact=True)
    if mode == "ab":
        assert set(answers[0]["variant"]) == {"challenger_failed"}
        assert opened.stats()["variants"]["challenger_failed"] == 8 * len(frame)


def test_a_roll_out_travels_to_other_processes(tmp_path: Path, models: Models) -> None:
    opened, frame = rolled_out(tmp_path, *models, mode="ab", fraction=0.5, entity="customer"), visitors()
    travelled = pickle.loads(pickle.dumps(opened))
    assert isinstance(travelled, RolloutModel)
    pd.testing.assert_frame_equal(travelled.predict(frame, {"detail": True}), opened.predict(frame, {"detail": True}))
    assert travelled.digest == opened.digest


def test_a_row_without_the_entity_column_is_the_champions(tmp_path: Path, models: Models) -> None:
    opened = rolled_out(tmp_path, *models, mode="ab", fraction=1.0, entity="customer")
    frame = visitors().drop(columns="customer")
    pd.testing.assert_frame_equal(opened.predict(frame), models[0].predict(frame), check_exact=True)
