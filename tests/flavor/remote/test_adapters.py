"""What a child that others made is given, and what it gives."""

import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from array_children import ROWS
from mlflow.models import infer_signature
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc import PythonModel

import metamodel
from metamodel.bundle.references import ReferenceSettings
from metamodel.exceptions import RowsRefused
from metamodel.flavor.remote.adapters import EstimatorChild, PyfuncChild
from metamodel.tracking.references.reference_model import write_references


# -------- children that others made
class Doubles:
    """Takes an array."""

    def predict(self, x: object) -> object:
        assert isinstance(x, np.ndarray)
        return 2 * x[:, 0]


class ByName(Doubles):
    """Takes columns by name, in its own order."""

    feature_names_in_ = np.array(["z", "x"])

    def predict(self, x: object) -> object:
        assert isinstance(x, pd.DataFrame)
        assert list(x.columns) == ["z", "x"]
        return x["z"]


def test_an_estimator_gets_what_it_was_fitted_on() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0]})
    assert list(EstimatorChild(Doubles()).predict(rows)) == [2.0, 4.0]
    assert list(EstimatorChild(ByName()).predict(rows)) == [3.0, 4.0]


def test_an_estimator_fitted_on_an_array_gets_the_columns_in_the_order_of_its_signature(
    of_array: metamodel.MetaModel,
) -> None:
    np.testing.assert_allclose(of_array.predict(ROWS)["prediction"], [401, 502])


def test_an_estimator_that_counts_no_columns_gets_those_of_its_signature_by_name() -> None:
    class Selecting:
        def predict(self, x: pd.DataFrame) -> object:
            return x["z"]

    rows = pd.DataFrame({"x": [1.0, 2.0], "z": [3.0, 4.0]})
    assert list(EstimatorChild(Selecting(), signature=["z", "x"]).predict(rows)) == [3.0, 4.0]


@pytest.mark.parametrize(
    "answers", [[1.0], pd.Series([1.0]), pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [0.0], "prediction": [1.0]})]
)
def test_a_pyfunc_child_gives_one_value_a_row(answers: object) -> None:
    class Model:
        def predict(self, x: object) -> object:
            return answers

    assert PyfuncChild(Model()).predict(pd.DataFrame({"x": [1]})).tolist() == [1.0]


# -------- models with the signature that MLflow infers, whose whole numbers are long
class Declared:
    """A model as MLflow's pyfunc is: it refuses what its signature does not take."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.schema = infer_signature(rows).inputs

    def predict(self, x: pd.DataFrame) -> object:
        return _enforce_schema(x, self.schema)["rooms"]


@pytest.fixture
def declared() -> PyfuncChild:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column", category=UserWarning)
        model = Declared(pd.DataFrame({"rooms": [1, 2], "x": [0.5, 1.5]}))
    return PyfuncChild(model, model.schema)


def test_floats_that_are_whole_reach_a_column_of_long(declared: PyfuncChild) -> None:
    answers = declared.predict(pd.DataFrame({"rooms": [3.0, -(2.0**53)], "x": [0.5, 1.5]}))
    assert (answers.dtype, answers.tolist()) == (np.dtype("int64"), [3, -(2**53)])


@pytest.mark.parametrize("odd", [2.5, np.nan, np.inf, 2.0**63])
def test_what_is_no_whole_number_is_never_rounded(declared: PyfuncChild, odd: float) -> None:
    with pytest.raises(RowsRefused, match="takes whole numbers alone in rooms; a value is missing, has a fraction"):
        declared.predict(pd.DataFrame({"rooms": [3.0, odd], "x": [0.5, 1.5]}))


@pytest.mark.parametrize("rooms", [["Int64", [1, 2, None, 4]], ["float64", [1.0, 2.0, np.nan, 4.0]]])
@pytest.mark.parametrize("learned", ["int64", "float64"])
def test_a_null_among_whole_numbers_fails_its_own_row_alone(tmp_path: Path, rooms: Any, learned: str) -> None:
    table = pd.DataFrame({"store": list("aabb"), "rooms": [1, 2, 3, 4], "y": [1.0, 2.0, 3.0, 4.0]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow's advice about integer columns, and to give an example
        signature = infer_signature(table[["rooms"]])
        path = tmp_path / "child"
        mlflow.pyfunc.save_model(str(path), python_model=Rooms(), signature=signature, pip_requirements=[])
    children = pd.DataFrame({"store": ["a", "b"], "uri": [str(path)] * 2})
    settings = ReferenceSettings(roots=(str(tmp_path),))
    example = table.astype({"rooms": learned})
    model = metamodel.load_model(
        write_references(tmp_path / "meta", children, example, "store", target="y", settings=settings)
    )
    dtype, values = rooms
    answers = model.predict(table.assign(rooms=pd.Series(values, dtype=dtype)), {"detail": True})
    assert answers["status"].tolist() == ["child", "child", "failed", "child"]
    assert answers["prediction"].drop(2).tolist() == [1, 2, 4]
    assert answers["error"][2].startswith("RowsRefused: The model's signature takes whole numbers alone in rooms; ")


class Rooms(PythonModel):
    """Predicts the number of rooms."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return model_input["rooms"].to_numpy()
