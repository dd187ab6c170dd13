"""Calls by column: each row once, in order, however the calls are cut."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from logged_rows import MODEL, answered, frame_of, settings_in

from metamodel.prediction.answers import ShadowAnswer
from metamodel.prediction_log.gathered_rows import GatheredRows
from metamodel.prediction_log.log_tables import gathered_table, log_table

CALLS = [answered(frame_of(size, 10 * size), size) for size in (1, 3, 1, 0, 2, 5, 1)]


def gathered_calls(folder: Path, **changes: object) -> GatheredRows:
    gathered = GatheredRows(MODEL, settings_in(folder, **changes))
    for call in CALLS:
        gathered.add(call)
    return gathered


@given(cut=st.integers(0, len(CALLS)))
def test_the_parts_of_gathered_calls_are_these_calls(cut: int, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "gathered"
    gathered = gathered_calls(folder)
    first, second = gathered.part(0, cut), gathered.part(cut, len(CALLS))
    assert len(first) + len(second) == len(gathered) == 13
    assert first.size + second.size == gathered.size
    for part, calls in ((first, CALLS[:cut]), (second, CALLS[cut:])):
        if calls:
            assert gathered_table(part).equals(log_table(calls, gathered.settings))


def test_a_row_has_what_its_challenger_had_said_when_the_table_is_made(tmp_path: Path):
    gathered = GatheredRows(MODEL, settings_in(tmp_path))
    shadows = [ShadowAnswer() for _ in range(3)]
    for shadow in shadows:
        call = answered(frame_of(2))
        call.answers.shadow = shadow
        gathered.add(call)
    shadows[0].fail("the challenger is gone")
    shadows[2].fill(np.array([3.0, 4.0]), ["child", "child"])
    assert gathered_table(gathered)["shadow_prediction"].to_pylist() == [None, None, None, None, 3.0, 4.0]


def test_only_what_is_logged_is_kept(tmp_path: Path):
    bare = gathered_calls(tmp_path, features="none")
    assert set(bare.calls.features) == {None}
    assert all(sent == {} for sent in bare.calls.sent)
    sampled = gathered_calls(tmp_path, features="none", sample=0.5)  # by what a row holds
    assert all(features is not None for features in sampled.calls.features)
