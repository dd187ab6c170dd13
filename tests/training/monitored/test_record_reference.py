"""What a training records to compare later rows with, and what an update carries of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monitored import START, changed, monitored, statuses, weeks

import metamodel
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME, read_drift
from metamodel.evaluation.drift.drift_columns import DriftColumns
from metamodel.evaluation.drift.drift_reference import ABSOLUTE_ERROR, ERROR, PREDICTION, TARGET


@pytest.fixture(scope="module")
def result() -> metamodel.TrainingResult:
    return monitored()


@pytest.fixture(scope="module")
def without() -> metamodel.TrainingResult:
    """Another one, that keeps nothing to compare later rows with."""
    return monitored(reference=False)


def test_features_are_those_of_the_training_rows_and_errors_those_of_held_out_ones(
    result: metamodel.TrainingResult,
) -> None:
    stored = read_drift(metamodel.MetaModel(result.bundle_path).bundle)

    assert stored is not None
    keys, reference = stored
    assert len(keys) == 12
    assert reference.columns == ("price", "stock", "kind", TARGET, PREDICTION, ERROR, ABSOLUTE_ERROR)
    rows = reference.counts.sum(axis=2)
    assert (rows[:, :4] == 240).all()
    held = result.holdout["key"].value_counts()
    assert rows[:, 4:].tolist() == [[held[key]] * 3 for key in keys]
    errors = (result.holdout["actual"] - result.holdout["predicted"]).groupby(result.holdout["key"], observed=True)
    np.testing.assert_allclose(reference.moments[:, 4, 0], errors.mean()[keys], rtol=1e-5)
    assert not np.isnan(reference.replays[:, :4]).all()


def test_monitoring_needs_nothing_but_the_model(tmp_path: Path) -> None:
    model = metamodel.MetaModel(monitored(interval=0.9).bundle_path)

    quiet = metamodel.monitor(model, weeks(1, 3), output=tmp_path)
    found = metamodel.monitor(model, changed(START, 4), output=tmp_path)

    assert set(quiet.groups["status"]) == {"ok"}
    assert statuses(found).pop('["DE",3]') == "performance"


def test_without_a_reference_there_is_no_file(without: metamodel.TrainingResult) -> None:
    bundle = metamodel.MetaModel(without.bundle_path).bundle
    assert DRIFT_NAME not in bundle.manifest.files
    assert read_drift(bundle) is None


def test_a_carried_child_keeps_its_reference_and_a_retrained_one_gets_its_own(
    result: metamodel.TrainingResult,
) -> None:
    later = weeks(8, 5, start="2026-03-02")

    second = metamodel.update(
        metamodel.MetaModel(result.bundle_path), later, retrain=["listed"], retrain_list=[("DE", 3)], n_jobs=1,
        challenge=False,
    )  # fmt: skip

    before, after = (read_drift(metamodel.MetaModel(one.bundle_path).bundle) for one in (result, second))
    assert before is not None
    assert after is not None
    assert set(before[0]) == set(after[0])
    order = np.array([after[0].index(key) for key in before[0]])
    old, new = before[1].to_arrays(), after[1].take(order).to_arrays()
    retrained = np.array(before[0]) == '["DE",3]'
    for name, array in old.items():
        np.testing.assert_array_equal(array[~retrained], new[name][~retrained], err_msg=name)
    assert (old["edges"][retrained] != new["edges"][retrained]).any()


def test_classes_are_recorded_as_categories_and_wrong_ones_as_errors() -> None:
    table = weeks(8, 1, start="2026-01-05")
    table = table.assign(sales=np.where(table["price"] > 10, 1, 0))

    result = metamodel.train(
        table, ["country", "shop"], "sales", "logistic_regression", features=["price"], n_jobs=1
    )  # fmt: skip

    stored = read_drift(metamodel.MetaModel(result.bundle_path).bundle)
    assert stored is not None
    assert stored[1].columns == ("price", TARGET, PREDICTION, ABSOLUTE_ERROR)
    assert stored[1].kinds == ("number", "category", "category", "number")
    assert set((stored[1].vocabulary[TARGET] or {}).values()) == {"0", "1"}
    assert pd.Series(DriftColumns.of({"t": pd.Series([1], dtype=object)}).texts["t"]).index[0] in (
        stored[1].vocabulary[TARGET] or {}
    )


def test_an_update_of_one_group_does_not_forget_which_columns_are_functions_of_time() -> None:
    def monthly(number: int, seed: int, start: str) -> pd.DataFrame:
        return weeks(number, seed, rows=20, start=start).assign(month=lambda table: table["week"].dt.month)

    options: dict[str, object] = {"features": ["price", "month"], "time_column": "week", "n_jobs": 1}
    first = metamodel.train(monthly(9, 1, "2026-01-05"), ["country", "shop"], "sales", "ridge", **options)
    one = monthly(5, 2, "2026-03-23")
    one = one[one["shop"] == 3].drop_duplicates("week")  # no two rows of one time

    second = metamodel.update(
        metamodel.MetaModel(first.bundle_path), one, retrain=["listed"], retrain_list=[("DE", 3)],
        n_jobs=1, challenge=False, min_rows=2,
    )  # fmt: skip

    for result in (first, second):
        stored = read_drift(metamodel.MetaModel(result.bundle_path).bundle)
        assert stored is not None
        assert stored[1].of_time == {"month"}


def test_what_a_reference_costs_is_printed(result: metamodel.TrainingResult, without: metamodel.TrainingResult) -> None:
    size = (result.bundle_path / DRIFT_NAME).stat().st_size
    assert result.summary["reference_bytes"] == size
    assert 0 < result.summary["reference_seconds"] < 60
    assert f"reference         {size:,} bytes for `metamodel monitor`, recorded in " in str(result)
    assert "reference  " not in str(without)


def test_an_update_of_a_model_without_reference_records_the_groups_that_have_rows(
    without: metamodel.TrainingResult,
) -> None:
    later = weeks(8, 5, start="2026-03-02")
    model = metamodel.MetaModel(without.bundle_path)

    second = metamodel.update(
        model, later[later["shop"] != 5], retrain=["listed"], retrain_list=[("DE", 3)], n_jobs=1, challenge=False,
        reference=True,
    )  # fmt: skip

    stored = read_drift(metamodel.MetaModel(second.bundle_path).bundle)
    assert stored is not None
    assert len(set(stored[0])) == len(stored[0]) == 11
    assert '["IT",5]' not in stored[0]
    assert (stored[1].counts[:, 0].sum(axis=1) == 240).all()
