"""MLflow's enforcement of the signature, left out for tables that a meta-model checks itself.

A meta-model finds every missing and wrong value itself, row by row. MLflow, before it, loops in Python over each value
of a column of type Any: a second for a million keys, five times what predicting takes. MLflow knows models that check
their own input, those whose signature comes from type hints, and hands their input over as it is. So it is told that of
a meta-model, but only for one call and on a copy of the model's description. What is recorded, how a server reads a
body, input that is no DataFrame, and every other model of the process stay as they are.

Whether MLflow still works so is tried, not looked up: if a table sent through its own code does not arrive, nothing is
replaced, and every answer is the same, only later.
"""

import copy
import functools
import logging
from collections.abc import Callable
from typing import Any

import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

__all__ = ["ChecksTables", "leave_tables_to_models"]

_logger = logging.getLogger(__name__)

_Predict = Callable[..., Any]


class ChecksTables:
    """Marks a model that takes every DataFrame as it is, and finds itself what is missing or wrong in it."""


def leave_tables_to_models() -> bool:
    """Let MLflow hand DataFrames, as they are, to models of this process that are marked with `ChecksTables`.

    Returns
    -------
    bool
        Whether it does. With an MLflow that works in another way nothing is changed.
    """
    original: _Predict = getattr(PyFuncModel.predict, "original", PyFuncModel.predict)
    if not _hands_over(original):
        _logger.info("MLflow enforces the signature of tables by itself: predictions for many rows take longer.")
        return False

    @functools.wraps(original)
    def predict(self: PyFuncModel, data: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(data, pd.DataFrame) and _checks_tables(self):
            return original(_unenforced(self), data, *args, **kwargs)
        return original(self, data, *args, **kwargs)

    predict.original = original  # type: ignore[attr-defined]
    PyFuncModel.predict = predict  # type: ignore[method-assign]
    return True


def _checks_tables(model: PyFuncModel) -> bool:
    implementation = model._model_impl
    marked = isinstance(getattr(implementation, "python_model", implementation), ChecksTables)
    return marked and model.metadata.signature is not None


def _unenforced(model: PyFuncModel) -> PyFuncModel:
    """Copy a model for one call, so that threads share nothing but what predicts; the copy asks for no enforcement."""
    described, declared = copy.copy(model.metadata), copy.copy(model.metadata.signature)
    declared._is_signature_from_type_hint = True
    described.signature = declared
    twin = copy.copy(model)
    twin._model_meta = described
    return twin


class _Echo(ChecksTables):
    def predict(self, model_input: Any, params: Any = None) -> tuple[Any, Any]:
        return model_input, params


def _hands_over(predict: _Predict) -> bool:
    """Try whether a table arrives as it was sent, and params as they are declared."""
    columns: list[Any] = [ColSpec(AnyType(), "key", required=False), ColSpec(DataType.double, "x", required=False)]
    params = ParamSchema([ParamSpec("detail", DataType.boolean, False)])
    described = Model(signature=ModelSignature(inputs=Schema(columns), params=params))
    described.add_flavor("python_function", loader_module="mlflow.pyfunc.model")
    table = pd.DataFrame({"key": pd.Series(["a", None], dtype="category"), "x": [1, 2], "more": 0})
    try:
        arrived, completed = predict(_unenforced(PyFuncModel(described, _Echo())), table, {})
    except Exception as error:  # noqa: BLE001 - another MLflow may raise anything, and its own way is always there
        _logger.debug("A table did not arrive: %s", error)
        return False
    return arrived is table and completed == {"detail": False}
