"""Children that others made, behind the one face that routing asks: `predict` and `predict_proba` of a frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.types import DataType, Schema

from metamodel.common.arrays import AnyArray
from metamodel.common.messages import listing
from metamodel.exceptions import ChildFailed, RowsRefused
from metamodel.prediction.child import predictions
from metamodel.tables.features import FeatureSchema

__all__ = ["BlendedChild", "EstimatorChild", "PyfuncChild"]

_WHOLE: dict[Any, np.dtype[Any]] = {DataType.integer: np.dtype("int32"), DataType.long: np.dtype("int64")}


class EstimatorChild:
    """A scikit-learn estimator that takes columns by name, or an array where it was fitted on one.

    Parameters
    ----------
    model
        The fitted estimator.
    features
        Of the bundle it comes from; None for an estimator from elsewhere, which knows its columns itself.
    signature
        Names of the columns that the logged model asks for, in their order; they count where the estimator itself knows
        no names, because it was fitted on an array.
    """

    def __init__(
        self, model: Any, features: FeatureSchema | None = None, signature: Sequence[str] | None = None
    ) -> None:
        self.model = model
        names = getattr(model, "feature_names_in_", signature)
        self._columns = None if names is None else [str(name) for name in names]
        self._matrix_dtype: Any = None
        if features is not None:
            self._columns = features.names
            self._matrix_dtype = features.matrix_dtype if features.layout == "array" else None
            self._as_array = features.layout == "array"
        elif signature is None:
            self._as_array = names is None
        else:  # who counts columns and knows no names was fitted on an array; who does neither asks for them by name
            self._as_array = hasattr(model, "n_features_in_") and not hasattr(model, "feature_names_in_")

    def predict(self, x: pd.DataFrame) -> Any:
        """Predict rows."""
        return self.model.predict(self._input(x))

    def predict_proba(self, x: pd.DataFrame) -> Any:
        """Probabilities of rows."""
        return self.model.predict_proba(self._input(x))

    @property
    def classes_(self) -> Any:
        """Classes of a classifier."""
        return self.model.classes_

    def _input(self, x: pd.DataFrame) -> Any:
        table = x if self._columns is None else x[self._columns]
        return table.to_numpy(dtype=self._matrix_dtype) if self._as_array else table


class BlendedChild:
    """A child of a meta-model with shrinkage, together with the parents that it is blended with there.

    Parameters
    ----------
    own
        The child and its weight.
    parents
        The same of every parent that has a say, the global model first.
    """

    def __init__(self, own: tuple[EstimatorChild, float], parents: Sequence[tuple[EstimatorChild, float]]) -> None:
        self._own, self._weight = own
        self._parents = parents

    @property
    def model(self) -> Any:
        """The group's own estimator."""
        return self._own.model

    def predict(self, x: pd.DataFrame) -> AnyArray:
        """Predict rows; raises where a parent gives no number, because without its part it would be another model's."""
        said = _numbers(self._own, x)
        blended = np.where(self._weight == 0, 0.0, self._weight * said)
        for parent, weight in self._parents:
            part = _numbers(parent, x)
            if (np.isnan(part) & ~np.isnan(blended)).any():
                raise ChildFailed("A parent whose prediction is blended in gave none.")
            blended = blended + weight * part
        return blended


def _numbers(child: EstimatorChild, x: pd.DataFrame) -> AnyArray:
    return predictions(child, x).reshape(len(x)).astype(np.float64, copy=False)


class PyfuncChild:
    """An MLflow model of any flavor; it predicts one value a row, and no probabilities.

    A signature that MLflow inferred declares whole numbers as long or integer, and MLflow refuses floats there, also
    3.0. Floats that are whole are handed on as what is declared; a row with a null, or with 2.5, is refused by itself.

    Parameters
    ----------
    model
        What `mlflow.pyfunc.load_model` gave.
    schema
        Inputs of its signature.
    """

    def __init__(self, model: Any, schema: Schema | None = None) -> None:
        self.model = model
        self._whole = _whole_columns(schema)

    def predict(self, x: pd.DataFrame) -> AnyArray:
        """Predict rows."""
        return first_column(self.model.predict(self._input(x)))

    def _input(self, x: pd.DataFrame) -> pd.DataFrame:
        floats = [name for name in self._whole if name in x.columns and x[name].dtype.kind == "f"]
        if odd := [name for name in floats if not _fits(x[name], self._whole[name])]:
            # MLflow's own words would begin with the rows.
            raise RowsRefused(
                f"The model's signature takes whole numbers alone in {listing(odd)}; a value is missing, has a "
                "fraction, or is too large. Log the model with a signature that has double there.",
                next((name for name in odd if x[name].isna().any()), None),
            )
        return x.astype({name: self._whole[name] for name in floats})

    def predict_proba(self, x: pd.DataFrame) -> Any:
        """Raise: the pyfunc flavor has no probabilities."""
        raise ChildFailed("A pyfunc child gives no probabilities. Log it with the sklearn flavor.")


def _whole_columns(schema: Schema | None) -> dict[str, np.dtype[Any]]:
    """Columns of a signature that take whole numbers alone, with the type that MLflow wants there."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return {str(column.name): _WHOLE[column.type] for column in schema.inputs if column.type in _WHOLE}


def _fits(values: "pd.Series[Any]", dtype: np.dtype[Any]) -> bool:
    """Whether nothing is lost when floats become integers."""
    floats = values.to_numpy(dtype=np.float64)
    bounds = np.iinfo(dtype)
    return bool(((floats >= bounds.min) & (floats < float(bounds.max)) & (floats == np.floor(floats))).all())


def first_column(answers: Any) -> AnyArray:
    """Values of one prediction a row, whatever table they come in."""
    if isinstance(answers, pd.DataFrame):
        name = "prediction" if "prediction" in answers.columns else answers.columns[0]
        return answers[name].to_numpy()
    return np.asarray(answers)
