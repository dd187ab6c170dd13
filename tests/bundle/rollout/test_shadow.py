"""A challenger in the shadow answers many calls at once, fails by itself, and is asked no more than it can answer."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rolled_out import has_answered, panel, trained

from metamodel.bundle.rollout import shadow as shadow_module
from metamodel.bundle.rollout.shadow import Shadow
from metamodel.prediction.answer_form import PredictOptions


def rows(*shops: Any) -> pd.DataFrame:
    return pd.DataFrame({"shop": list(shops), "x": np.arange(len(shops)) / 7, "z": 1.0})


def test_calls_are_answered_together_each_with_its_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batches, offered = trained(tmp_path / "m", panel()), [], threading.Event()
    # Calls are gathered until all of them are there, which on a busy machine may take longer than any pause.
    monkeypatch.setattr(shadow_module, "time", SimpleNamespace(sleep=lambda _: offered.wait(100)))

    def ask(read: Any, options: PredictOptions) -> Any:
        batches.append(len(read[0].codes))
        return model._answer(read, options)

    shadow = Shadow(ask)
    parts = [rows(1, 2), rows(2), rows(99, "not a shop"), rows(3, 1, 3)]
    asked = [shadow.offer(model.route.read(part), PredictOptions()) for part in parts]
    offered.set()
    for part, answer in zip(parts, asked, strict=True):
        assert has_answered(answer)
        expected = model.predict(part)
        assert answer.status == expected["status"].tolist()
        np.testing.assert_allclose(np.asarray(answer.prediction, dtype=float), expected["prediction"], rtol=1e-12)
    assert shadow.answered == 8
    assert batches == [8]


def test_an_error_is_told_to_each_call_and_the_next_ones_are_answered(tmp_path: Path) -> None:
    model, faults = trained(tmp_path / "m", panel()), [RuntimeError("planted")]

    def ask(read: Any, options: PredictOptions) -> Any:
        if faults:
            raise faults.pop()
        return model._answer(read, options)

    shadow = Shadow(ask, seconds=0)
    first = shadow.offer(model.route.read(rows(1)), PredictOptions())
    assert has_answered(first)
    assert (first.prediction, "planted" in first.error, shadow.failed) == (None, True, 1)
    second = shadow.offer(model.route.read(rows(1)), PredictOptions())
    assert has_answered(second)
    assert second.prediction is not None


def test_what_a_challenger_that_hangs_cannot_take_is_dropped_and_counted(tmp_path: Path) -> None:
    model, released = trained(tmp_path / "m", panel()), threading.Event()

    def ask(read: Any, options: PredictOptions) -> Any:
        released.wait(60)
        return model._answer(read, options)

    shadow = Shadow(ask, seconds=0, most_rows=3)
    read = model.route.read(rows(1))
    asked = [shadow.offer(read, PredictOptions()) for _ in range(10)]
    assert (shadow.dropped, sum(answer.done for answer in asked)) == (7, 7)
    released.set()
    assert all(map(has_answered, asked))
    assert shadow.answered == 3
