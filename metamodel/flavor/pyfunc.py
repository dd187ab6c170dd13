"""The `PythonModel` that MLflow loads: `load_context`, `predict`, and the translation of errors for the outside world.

All state is in the bundle; the wrapper is logged as code (`metamodel/model_code.py`), so nothing of it is pickled.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext

from metamodel.bundle.manifest import Manifest
from metamodel.bundle.model import MetaModel
from metamodel.bundle.preload import preload_setting
from metamodel.bundle.rollout.exploring_model import exploring
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.common.arrays import AnyArray
from metamodel.common.collecting import keep_in_spark_worker
from metamodel.common.traces import log_failure
from metamodel.exceptions import BundleError, InputError, UnknownChoice, UnknownGroup
from metamodel.flavor.answer_log import AnswerLog, is_there_once, log_of_environment
from metamodel.flavor.enforcement import ChecksTables, leave_tables_to_models
from metamodel.flavor.load import open_bundle
from metamodel.flavor.model_identity import model_identity
from metamodel.flavor.scoring_server import PublicError, is_serving, take_over_server
from metamodel.flavor.shutdown import write_log_at_shutdown
from metamodel.prediction.answer_form import OTHER
from metamodel.tables.dataframes import table_of
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping, check_columns
from metamodel.tables.large_integers import with_decimals
from metamodel.tables.small_tables import read_any_rows

__all__ = ["GroupedModel", "predict_for_json", "public_errors", "read_for_json"]

_logger = logging.getLogger(__name__)


class GroupedModel(ChecksTables, PythonModel):
    """Serves a bundle."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the bundle that the context's artifact `bundle` names, and load the children of hot groups."""
        keep_in_spark_worker()
        settings = context.model_config or {}
        opened = open_bundle(context.artifacts["bundle"])
        self._model = exploring(opened, settings.get("explore"), settings.get("explore_entity"))
        preload = preload_setting(settings.get("preload"))
        if preload is not None:
            self._model.preload(preload)
        leave_tables_to_models()
        log = log_of_environment(self._model)
        take_over_server(self._model.manifest, self._model.entity_names, {} if log is None else log.settings.columns)
        self._log = None if log is None else AnswerLog(self._model, log, model_identity(self._model))
        if isinstance(self._model, RolloutModel):
            self._model.is_serving = is_serving()

    @property
    def model(self) -> MetaModel:
        """The meta-model, for `child`, `ledger` and `stats`."""
        return self._model

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame | list[dict[str, Any]]:
        """Answer every row; see `metamodel.prediction.routing.Route.predict`.

        In MLflow's server: one dict a row, ready for JSON.

        Raises
        ------
        PublicError
            The request is wrong as a whole (status 400), or the bundle is (500). The message holds none of the
            caller's data, save that outside of a server it names the groups without a child.
        """
        del context
        if is_serving():
            if self._log is not None:
                write_log_at_shutdown()
            return predict_for_json(self._model, model_input, params, self._log)
        with public_errors(name_groups=True):
            table = table_of(_unnested(model_input))
            if self._log is None or table.columns.nlevels > 1:
                answers = self._model.predict(table, params)
            else:
                answers = self._log.answer_table(table, params, table).frame(table.index)
        return _for_spark(answers)


def predict_for_json(
    model: MetaModel, frame: pd.DataFrame, params: Mapping[str, Any] | None = None, log: AnswerLog | None = None
) -> list[dict[str, Any]]:
    """Answer as a server does: every null is None, not NaN, which is no JSON, and every error may leave the server."""
    with public_errors():
        model.route.check(model.options(params))  # what is wrong with the params is said first
        logged_names = () if log is None else tuple(log.columns)
        grouping, columns, sent = read_for_json(frame, model.manifest, model.entity_names, logged_names)
        return (model if log is None else log).answer((grouping, columns), params, sent).records()


def read_for_json(
    frame: pd.DataFrame, manifest: Manifest, entity_names: Sequence[str] = (), logged_names: Sequence[str] = ()
) -> tuple[Grouping, FeatureColumns, dict[str, list[Any]]]:
    """Read the table of a server's request: groups, features, and each row's values of the further columns that came.

    Raises
    ------
    InputError
        A column is missing, or there twice.
    """
    unnested = _unnested(frame)
    # Of other columns no message may tell: without a header line, those of a CSV body are the values of a row.
    known = {*manifest.keys.names, *manifest.features.names, *entity_names}
    table = unnested if known.issuperset(unnested.columns) else unnested.loc[:, [name in known for name in unnested]]
    check_columns(table, [name for name in entity_names if name in table.columns], "entity column")
    further = [name for name in dict.fromkeys([*entity_names, *logged_names]) if is_there_once(name, unnested)]
    sent = {name: unnested[name].astype(object).tolist() for name in further}
    return *read_any_rows(table, manifest.keys, manifest.features), sent


@contextmanager
def public_errors(name_groups: bool = False) -> Iterator[None]:
    """Turn whatever a prediction raises into a `PublicError`.

    Parameters
    ----------
    name_groups
        Whether the groups without a child are named, because the caller gets the error from no server. Such an error
        is not public: a server that does not say that it is one replaces it.
    """
    try:
        yield
    except UnknownGroup as error:
        if name_groups:
            remedy = 'Or leave their rows out, or predict with params {"unknown": "null"}.'
            raise MlflowException(f"{error} {remedy}", INVALID_PARAMETER_VALUE) from error
        fact = 'The batch has rows of groups without a child model, and the policy for these is "error".'
        raise PublicError(
            f'{fact} Leave them out, or send params {{"unknown": "null"}}.', INVALID_PARAMETER_VALUE
        ) from error
    except InputError as error:
        # A caller's value is repeated to nobody, nor written into a log.
        message = error.public if isinstance(error, UnknownChoice) and not name_groups else str(error)
        raise PublicError(message, INVALID_PARAMETER_VALUE) from error
    except BundleError as error:
        raise PublicError(str(error)) from error
    except MemoryError:
        raise
    except Exception as error:
        log_failure(_logger, "Prediction failed", error)
        raise PublicError(
            f"The model failed with a {type(error).__name__}. The server's log has the details."
        ) from error


def _unnested(frame: pd.DataFrame) -> pd.DataFrame:
    """Undo what MLflow does to ``{"inputs": {column: [text, text]}}``: it makes one row of whole lists."""
    if len(frame) != 1 or frame.columns.empty or not isinstance(frame.iat[0, 0], list):
        return frame
    if not all(isinstance(cell, list) for cell in frame.iloc[0]):
        return frame
    if len({len(cell) for cell in frame.iloc[0]}) > 1:
        raise InputError("The columns have different numbers of values. Give one for every row in each.")
    cells = {name: with_decimals(pd.Series(frame[name].iloc[0], dtype=object)) for name in frame.columns}
    return pd.DataFrame({name: values.tolist() for name, values in cells.items()})


def _for_spark(answers: pd.DataFrame) -> pd.DataFrame:
    """Keep null labels null inside Spark tasks: MLflow casts string fields with `astype(str)`, which writes "None"."""
    if not _in_spark_task() or answers["prediction"].dtype.kind == "f":
        return answers
    names = [name for name in ("prediction", OTHER) if name in answers]
    return answers.assign(**{name: _spark_labels(answers[name]) for name in names})


def _spark_labels(labels: pd.Series) -> pd.Series:
    if labels.dtype.name in ("object", "str", "boolean"):
        return pd.Series(_NullKeepingText.of(labels), index=labels.index)
    return labels.astype("float64")


def _in_spark_task() -> bool:
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.TaskContext.get() is not None


class _NullKeepingText(pd.arrays.StringArray):
    """Text whose nulls survive what MLflow does to it: ``astype(str)`` in a struct, ``map(str)`` for a string."""

    @classmethod
    def of(cls, labels: pd.Series) -> "_NullKeepingText":
        text = [pd.NA if missing else str(label) for label, missing in zip(labels, labels.isna(), strict=True)]
        return cls(np.array(text, dtype=object))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if dtype is str or getattr(dtype, "kind", "") == "U":
            return self._texts()
        return super().astype(dtype, copy=copy)

    def map(self, mapper: Any, na_action: Any = None) -> Any:
        if getattr(mapper, "func", mapper) is str:  # DataFrame.map wraps it
            return self._texts()
        return super().map(mapper, na_action=na_action)

    def _texts(self) -> AnyArray:
        return np.array([None if value is pd.NA else value for value in self], dtype=object)
