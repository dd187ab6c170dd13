"""Tables reach a meta-model as they are, and mean there what they mean behind MLflow's own enforcement."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import echo_child
import mlflow
import numpy as np
import pandas as pd
import pytest
from echo_child import Echo
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, PythonModel

import metamodel
from metamodel.flavor.enforcement import leave_tables_to_models
from metamodel.flavor.pyfunc import GroupedModel

DAY, NOON = dt.date(2026, 1, 31), pd.Timestamp("2026-01-31 12:00")
ROW: dict[str, Any] = {"store": 7, "country": "FR", "open": True, "day": DAY, "at": NOON}
FEATURES: dict[str, Any] = {"x": 0.5, "n": 3, "city": "Lyon", "since": pd.Timestamp("2020-05-05")}


@pytest.fixture(scope="module")
def model() -> Any:
    rows = [{**ROW, **FEATURES, "store": store, "x": 0.5 * i, "n": i} for store in (7, 8) for i in range(4)]
    table = pd.DataFrame(rows).assign(y=lambda frame: frame["store"] + frame["x"])
    result = metamodel.train(table, list(ROW), "y", Echo(), holdout=0, n_jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        # Whether the code that is given is enough is asked of an interpreter that has nothing else: not a matter here.
        patch.setattr("metamodel.tracking.log_training.warn_of_missing_code", lambda *_: None)
        info = metamodel.log_model(result, code_paths=echo_child.__file__, report=False)
    return mlflow.pyfunc.load_model(info.model_uri)


@pytest.fixture
def restored() -> Iterator[None]:
    """Put back whatever stands in MLflow's place."""
    predict = PyFuncModel.predict
    yield
    PyFuncModel.predict = predict  # type: ignore[method-assign]


def _enforced(model: Any, table: pd.DataFrame) -> pd.DataFrame:
    """Answer behind MLflow's own enforcement."""
    return PyFuncModel.predict.original(model, table)  # type: ignore[attr-defined]


def _table(rows: int = 1) -> pd.DataFrame:
    return pd.DataFrame([{**ROW, **FEATURES}] * rows)


def test_this_mlflow_hands_over_tables(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived: list[Any] = []
    predict = GroupedModel.predict

    def spy(self: Any, context: Any, model_input: Any, params: Any = None) -> Any:
        arrived.append((model_input, params))
        return predict(self, context, model_input, params)

    monkeypatch.setattr(GroupedModel, "predict", spy)
    table = _table(3).astype({"country": "category"})
    model.predict(table, params={"detail": True})
    ((handed, params),) = arrived
    assert handed is table
    assert params == {"detail": True, "predict_method": "predict", "unknown": "null"}


@pytest.mark.parametrize("dtype", [object, "Int64", "int64[pyarrow]"])
def test_a_whole_number_beyond_what_floats_hold_stays_exact_beside_a_null(
    model: Any, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(Echo, "predict", lambda self, x: seen.extend(x["n"].tolist()) or np.zeros(len(x)))
    table = _table(3).assign(n=pd.Series([2**60 + 1, None, 2**60 + 3], dtype=dtype))
    assert model.predict(table)["status"].tolist() == ["child"] * 3
    whole_numbers = [value for value in seen if value == value]
    assert whole_numbers == [2**60 + 1, 2**60 + 3]
    assert all(isinstance(value, int) for value in whole_numbers)
    assert len(seen) == 3


def test_params_are_checked_as_mlflow_checks_them(model: Any) -> None:
    with pytest.raises(MlflowException, match="Invalid parameters found"):
        model.predict(_table(), params={"detail": "perhaps"})


# -------- the same answers as behind MLflow's enforcement
NULLS = [None, np.nan, pd.NA, pd.NaT]
VALUES: dict[str, list[Any]] = {
    "store": [7, 8, 9, 7.0, 7.5, "7", True, Decimal(8), Decimal("8.5"), np.int64(7), np.float32(8)],
    "country": ["FR", "DE", "", 7, 1.5, False],
    "open": [True, False, 0, 1.0, "true", np.True_],
    "day": [DAY, dt.date(2026, 2, 1), "2026-01-31", pd.Timestamp(DAY), NOON, "soon", 7],
    "at": [NOON, NOON.to_pydatetime(), NOON.tz_localize("UTC"), NOON.isoformat(), "soon", 7],
    "n": [3, 4.0, 2.5, True, "3", Decimal(2), np.int8(1)],
    "city": ["Lyon", "Paris", "", 7, True],
    "since": [FEATURES["since"], "2020-05-05", dt.date(2020, 5, 5), "soon", 7],
}
DTYPES: dict[str, list[Any]] = {
    "store": ["int64", "uint8", "float64", "Int64", "Float64", "int64[pyarrow]", "category"],
    "country": ["string", "category", "string[pyarrow]"],
    "open": ["bool", "boolean", "category", "bool[pyarrow]"],
    "day": ["datetime64[ns]", "datetime64[s]", "date32[day][pyarrow]", "category"],
    "at": ["datetime64[ns]", "datetime64[us]", "timestamp[us][pyarrow]", "category"],
    "n": ["int64", "float32", "Int64", "int64[pyarrow]", "category"],
    "city": ["string", "category", "string[pyarrow]"],
    "since": ["datetime64[ns]", "timestamp[ns][pyarrow]", "category"],
}


@st.composite
def columns(draw: st.DrawFn, name: str, rows: int) -> pd.Series:
    """One column of mixed objects, or of one dtype where its values can have it."""
    values = draw(st.lists(st.sampled_from([*VALUES[name], *NULLS]), min_size=rows, max_size=rows))
    dtype = draw(st.sampled_from([object, *DTYPES[name]]))
    column = pd.Series(values, dtype=object)
    if dtype is object:
        return column
    plain = draw(st.lists(st.sampled_from([*VALUES[name][:2], None]), min_size=rows, max_size=rows))
    for candidate in (column, pd.Series(plain, dtype=object), pd.Series([VALUES[name][0]] * rows, dtype=object)):
        try:
            return candidate.astype(dtype)
        except (TypeError, ValueError, NotImplementedError):
            continue
    return column


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.sampled_from([0, 1, 2, 3, 16, 17, 40]))
    odd = draw(st.sets(st.sampled_from(list(VALUES)), max_size=2))
    frame = _table(rows).iloc[:rows] if rows else _table().iloc[:0]
    frame = frame.assign(x=[draw(st.sampled_from([0.5, np.nan, np.inf])) for _ in range(rows)])
    frame = frame.assign(**{name: draw(columns(name, rows)) for name in odd})[draw(st.permutations(list(frame)))]
    index: Any = draw(st.sampled_from([range(rows), [0] * rows, [f"row {i}" for i in range(rows)]]))
    return frame.set_axis(index).assign(**draw(st.sampled_from([{}, {"more": 1}])))


@given(table=tables())
def test_any_table_gets_the_answers_that_it_gets_behind_mlflows_enforcement(model: Any, table: pd.DataFrame) -> None:
    before = table.copy(deep=True)
    answers = model.predict(table)
    pd.testing.assert_frame_equal(answers, _enforced(model, table))
    assert answers.index is table.index or answers.index.equals(table.index)
    pd.testing.assert_frame_equal(table, before)


def test_a_large_key_beside_a_null_stays_what_it_is(model: Any) -> None:
    table = _table(2).assign(store=pd.Series([2**53 + 1, None], dtype=object))
    keys = model.predict(table, params={"detail": True})["key"].tolist()
    assert str(2**53 + 1) in keys[0]
    assert str(2**53 + 1) not in str(_enforced(model, table))  # a float by then, as MLflow makes of it


def test_a_feature_of_whole_numbers_or_with_a_text_is_refused_for_no_other_row(model: Any) -> None:
    assert model.predict(_table(2).assign(x=[1, 2]))["status"].tolist() == ["child", "child"]
    assert model.predict(_table(2).assign(x=["text", 0.5]))["status"].tolist() == ["failed", "child"]


@pytest.mark.parametrize("form", [dict, list, pd.Series])
def test_input_that_is_no_table_goes_mlflows_own_way(model: Any, form: type) -> None:
    row = {**ROW, **FEATURES}
    data: Any = {name: [value, value] for name, value in row.items()} if form is dict else [row, row]
    data = pd.Series(data) if form is pd.Series else data
    if form is pd.Series:
        with pytest.raises(MlflowException, match="lacks"):
            model.predict(data)
    else:
        assert model.predict(data)["status"].tolist() == ["child", "child"]


# -------- nobody else is touched
class Remembers(PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del context, params
        self.arrived = model_input
        return np.zeros(len(model_input))


def test_another_model_with_the_same_signature_gets_what_mlflow_makes_of_a_table(model: Any) -> None:
    other = PyFuncModel(model.metadata, Remembers())
    other._predict_fn = lambda data, params=None: Remembers.predict(other._model_impl, None, data, params)
    table = _table(3).astype({"store": "Int64", "country": "category", "n": "float64"})
    other.predict(table)
    by_us = other._model_impl.arrived
    assert by_us is not table
    _enforced(other, table)
    pd.testing.assert_frame_equal(by_us, other._model_impl.arrived)
    with pytest.raises(MlflowException, match="Can not safely convert int64 to float64"):
        other.predict(table.assign(x=[2, 3, 4]))


def test_the_models_description_stays_as_it_was_recorded(model: Any) -> None:
    before = model.metadata.to_dict()
    model.predict(_table())
    assert model.metadata.to_dict() == before
    assert not model.metadata._is_signature_from_type_hint()


# -------- another MLflow
@pytest.mark.usefixtures("restored")
def test_an_mlflow_that_enforces_all_the_same_is_left_alone(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = model.predict(_table(20))
    PyFuncModel.predict = PyFuncModel.predict.original  # type: ignore[attr-defined, method-assign]
    monkeypatch.setattr(Model, "_is_signature_from_type_hint", lambda self: False)
    untouched = PyFuncModel.predict
    assert not leave_tables_to_models()
    assert PyFuncModel.predict is untouched
    pd.testing.assert_frame_equal(model.predict(_table(20)), expected)


@pytest.mark.usefixtures("restored")
def test_nothing_is_wrapped_twice(model: Any) -> None:
    original = PyFuncModel.predict.original  # type: ignore[attr-defined]
    assert leave_tables_to_models()
    assert leave_tables_to_models()
    assert PyFuncModel.predict.original is original  # type: ignore[attr-defined]
