"""Counts of parts are the counts of the whole, and monitoring from counts is monitoring from rows."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monitored import START, weeks

import metamodel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.evaluation.drift.window_counts import WindowCounts
from metamodel.exceptions import InputError
from metamodel.monitoring.count_table import count_table
from metamodel.monitoring.window_baselines import reference_for
from metamodel.monitoring.window_names import windows_of
from metamodel.prediction_log.count_files import write_counts


def _counts(model: metamodel.MetaModel, reference: ModelReference, frame: pd.DataFrame) -> WindowCounts:
    return next(count_table(model, reference, frame, frame["sales"], windows_of(frame, "week", None, []))).counts


def _assert_equal(first: WindowCounts, second: WindowCounts) -> None:
    one, two = (WindowCounts.together([counts]) for counts in (first, second))
    assert one.keys == two.keys
    for name in ("window", "of_time", "unreadable", "absent"):
        assert getattr(one, name) == getattr(two, name)
    for name in ("bins", "counts", "totals"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 359), min_size=1, max_size=3, unique=True), seed=st.integers(0, 3))
def test_parts_add_up_to_the_whole_to_the_last_bit(
    model: metamodel.MetaModel, reference: ModelReference, cuts: list[int], seed: int
) -> None:
    table = weeks(1, 90 + seed, shops=12).sample(frac=1, random_state=seed)
    bounds = [0, *sorted(cuts), len(table)]

    parts = [_counts(model, reference, table.iloc[start:stop]) for start, stop in itertools.pairwise(bounds)]

    _assert_equal(WindowCounts.together(parts), _counts(model, reference, table))
    _assert_equal(WindowCounts.together(parts[::-1]), WindowCounts.together(parts))


def test_monitoring_from_count_files_is_monitoring_from_rows(
    model: metamodel.MetaModel, reference: ModelReference, good: pd.DataFrame, tmp_path: Path
) -> None:
    table = weeks(1, 4)
    table.loc[table["shop"] == 3, "sales"] += 4
    files = []
    for part in range(4):
        files.append(tmp_path / f"{part}.parquet")
        write_counts(_counts(model, reference, table.iloc[part::4]), files[-1])

    of_counts = metamodel.monitor(model, files, baseline=good)
    of_rows = metamodel.monitor(model, table, baseline=good)

    assert of_counts.facts["window"] == of_rows.facts["window"] == START
    for name in ("groups", "columns", "cells", "slices", "incidents", "retrain"):
        pd.testing.assert_frame_equal(getattr(of_counts, name), getattr(of_rows, name))


def test_counts_in_other_bins_do_not_add_up(
    model: metamodel.MetaModel, reference: ModelReference, good: pd.DataFrame
) -> None:
    other = reference_for(model, good.iloc[::2])
    parts = [_counts(model, bins, weeks(1, 3)) for bins in (reference, other)]
    with pytest.raises(InputError, match="in the bins of different models"):
        WindowCounts.together(parts)
    counts, totals = parts[1].aligned(reference)
    changed = (
        reference.digests != other.digests if len(other) == len(reference) else np.ones(len(reference), dtype=bool)
    )
    assert changed.all()
    assert not counts[changed].any()
    assert not totals[changed].any()
