"""From the bytes of a request to the bytes of its answer, as MLflow's scoring server would give it.

Two ways with the same answers. A plain JSON body goes straight to routing. Every other one goes through the very code
of MLflow's server, with the model's signature enforced: it is slower, and right by construction.
"""

import io
import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, scoring_server

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.flavor.answer_log import AnswerLog
from metamodel.flavor.body_tables import BodyTooLarge
from metamodel.flavor.enforcement import ChecksTables, leave_tables_to_models
from metamodel.flavor.pyfunc import predict_for_json, public_errors
from metamodel.flavor.scoring_server import PublicError, take_over_server
from metamodel.flavor.signature import signature
from metamodel.prediction_log.log_writer import PredictionLog
from metamodel.serving.json_request import PlainReader, PlainRequest

__all__ = ["VERSION_HEADER", "Reply", "Scorer", "refusal"]

_logger = logging.getLogger(__name__)

_JSON = "application/json"

# Says with every answer which version it is from.
VERSION_HEADER = b"metamodel-version"

_PLAIN_TYPES = {_JSON, f"{_JSON};charset=utf-8", f"{_JSON}; charset=utf-8", f"{_JSON}; charset=UTF-8"}


class Reply(NamedTuple):
    """What is sent back.

    Attributes
    ----------
    status
        HTTP status.
    body, media_type
        Content and its type.
    """

    status: int
    body: bytes
    media_type: str = _JSON


def refusal(status: int, code: str, message: str) -> Reply:
    """Refuse a request in the form of MLflow's errors."""
    return Reply(status, orjson.dumps({"error_code": code, "message": message}))


class _TooManyRows(PublicError):
    """A table is larger than the server allows."""


class Scorer:
    """Answers the requests of one model; safe to share between threads.

    Parameters
    ----------
    model
        The meta-model.
    max_rows
        A table with more rows is refused with status 413.
    version
        The registered version, as ``sales/8``; "" where it is none.
    log
        Where answers are logged; None for no log.
    """

    def __init__(self, model: MetaModel, max_rows: int, version: str = "", log: PredictionLog | None = None) -> None:
        self.model = model
        self._log = None if log is None else AnswerLog(model, log, version)
        self.version = version
        # A name may hold what no header can.
        plain = version.encode("ascii", errors="backslashreplace")
        self.headers = [(VERSION_HEADER, plain)] if version else []
        self._max_rows = max_rows
        logged = _logged(model)
        self._input_schema = logged.get_input_schema()
        logged_columns = () if self._log is None else self._log.columns
        self._reader = PlainReader(model.manifest.keys, model.manifest.features, model.entity_names, logged_columns)
        self._by_mlflow = PyFuncModel(logged, _AsPyfunc(model, max_rows, self._log))
        # In this process the code of MLflow's server runs, so it has to be taught what it is taught there.
        leave_tables_to_models()
        take_over_server(model.manifest, model.entity_names, logged_columns)
        if isinstance(model, RolloutModel):
            model.is_serving = True

    def read(self, body: bytes, content_type: str | None) -> PlainRequest | None:
        """Read a plain request, or return None where MLflow's code has to answer."""
        return self._reader.read(body) if content_type in _PLAIN_TYPES else None

    def is_quick(self, request: PlainRequest) -> bool:
        """Whether nothing has to be loaded or fetched for an answer."""
        return self.model.at_hand((request.grouping, request.columns), request.params, request.entities)

    def answer(self, request: PlainRequest) -> Reply:
        """Answer a plain request."""
        try:
            _check_rows(len(request.grouping.codes), self._max_rows)
            with public_errors():
                read = request.grouping, request.columns
                answer = self.model.answer if self._log is None else self._log.answer
                records = answer(read, request.params, request.entities).records()
        except PublicError as error:
            return _refused(error)
        return Reply(200, _dumps({"predictions": records}))

    def answer_by_mlflow(self, body: bytes, content_type: str | None) -> Reply:
        """Answer any request with the code of MLflow's server."""
        if content_type is None:
            return Reply(415, b"The request names no Content-Type. Send application/json or text/csv.", "text/plain")
        try:
            if content_type.partition(";")[0].strip() == scoring_server.CONTENT_TYPE_PARQUET:
                _check_rows(_parquet_rows(body), self._max_rows)
            result = scoring_server.invocations(body, content_type, self._by_mlflow, self._input_schema)
        except MlflowException as error:
            return _refused(error)
        except Exception:
            _logger.exception("A request failed")
            return Reply(500, b"Internal Server Error", "text/plain")
        return Reply(result.status, result.response.encode(), result.mimetype)


class _AsPyfunc(ChecksTables):
    """A meta-model in the form in which MLflow calls models."""

    def __init__(self, model: MetaModel, max_rows: int, log: AnswerLog | None) -> None:
        self._model = model
        self._max_rows = max_rows
        self._log = log

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Answer a table."""
        _check_rows(len(model_input), self._max_rows)
        return predict_for_json(self._model, model_input, params, self._log)


def _logged(model: MetaModel) -> Model:
    """Find what MLflow recorded of the model, above all its signature; for a bare bundle, make the same."""
    if model.logged is not None:
        return Model.load(str(model.logged))
    made = Model(signature=signature(model.manifest, model.route, model.options(), model.entity_names))
    made.add_flavor("python_function", loader_module="mlflow.pyfunc.model")
    return made


def _check_rows(rows: int, limit: int) -> None:
    if rows > limit:
        raise _TooManyRows(f"The request has {rows:,} rows; this server takes {limit:,}. Send them in parts.")


def _parquet_rows(body: bytes) -> int:
    """Read the number of rows without the rows, of which a small body may hold very many."""
    try:
        return int(pq.ParquetFile(io.BytesIO(body)).metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError):  # MLflow's code says what is wrong with it
        return 0


def _refused(error: MlflowException) -> Reply:
    if isinstance(error, _TooManyRows) or isinstance(error.__cause__, BodyTooLarge):
        return refusal(413, "BAD_REQUEST", error.message)
    return Reply(error.get_http_status_code(), error.serialize_as_json().encode())


def _dumps(answer: Any) -> bytes:
    try:
        return orjson.dumps(answer)
    except TypeError:  # a lone surrogate in a label or a message, which UTF-8 cannot hold
        return json.dumps(answer).encode()
