"""From the bytes of a request to what it asks: the rows' groups and features, and the params; or why it is refused.

Two ways with the same outcome. A plain JSON body is read straight. Every other one goes through the very code of
MLflow's server, with the model's signature enforced: it is slower, and right by construction.

Of the model only its schemas are needed, not its children, so that another process can read a body
(`metamodel.serving.reader_pool`).
"""

import io
import pickle
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PyFuncModel, scoring_server

from metamodel.bundle.manifest import Manifest
from metamodel.flavor.body_tables import BodyTooLarge
from metamodel.flavor.enforcement import ChecksTables, leave_tables_to_models
from metamodel.flavor.pyfunc import public_errors, read_for_json
from metamodel.flavor.scoring_server import PublicError, take_over_server
from metamodel.serving.json_request import PlainReader, PlainRequest
from metamodel.serving.replies import JSON, Reply, refusal, refused

__all__ = ["BodyReader", "Reading", "TooManyRows", "check_rows"]

_NOTHING: Mapping[str, str] = {}

_PLAIN_TYPES = {JSON, f"{JSON};charset=utf-8", f"{JSON}; charset=utf-8", f"{JSON}; charset=UTF-8"}


class Reading(NamedTuple):
    """What came of reading a body.

    Attributes
    ----------
    request
        What it asks; None where it is refused.
    refusal
        Why it is refused.
    params
        Its params where it is refused, as far as they were read: what is wrong with them is said first.
    way
        How it was read: "plain" or "mlflow".
    """

    request: PlainRequest | None
    refusal: Reply | None = None
    params: Mapping[str, Any] | None = None
    way: str = "mlflow"


class TooManyRows(PublicError):
    """A table is larger than the server allows."""


class BodyReader:
    """Reads the bodies for one model; safe to share between threads, and goes to other processes by itself.

    Parameters
    ----------
    manifest
        Of the model.
    described
        What MLflow recorded of the model, above all its signature.
    max_rows
        A table with more rows is refused with status 413.
    entity_names
        Of a roll-out, columns that decide which model answers.
    log_names
        Columns that are logged, and how a field of CSV is read there.
    opened_bytes
        What a Parquet body's columns may take.
    """

    def __init__(
        self,
        manifest: Manifest,
        described: Model,
        max_rows: int,
        entity_names: tuple[str, ...] = (),
        log_names: Mapping[str, str] = _NOTHING,
        opened_bytes: int | None = None,
    ) -> None:
        self._given = manifest, described, max_rows, entity_names, log_names, opened_bytes
        self._max_rows = max_rows
        self._plain = PlainReader(manifest.keys, manifest.features, entity_names, tuple(log_names))
        self._input_schema = described.get_input_schema()
        self._catcher = _Catcher(manifest, max_rows, entity_names, tuple(log_names))
        self._by_mlflow = PyFuncModel(described, self._catcher)
        # In this process the code of MLflow's server runs, so it has to be taught what it is taught there.
        leave_tables_to_models()
        take_over_server(manifest, entity_names, log_names, opened_bytes)

    def __reduce__(self) -> tuple[Any, ...]:
        return BodyReader, self._given

    @cached_property
    def pickled(self) -> bytes:
        """Go to another process as these bytes."""
        return pickle.dumps(self)

    def read(self, body: bytes, content_type: str | None) -> Reading:
        """Read any body."""
        request = self.read_plain(body, content_type)
        return self.read_by_mlflow(body, content_type) if request is None else Reading(request, way="plain")

    def read_plain(self, body: bytes, content_type: str | None) -> PlainRequest | None:
        """Read a plain request, or return None where MLflow's code has to."""
        return self._plain.read(body) if content_type in _PLAIN_TYPES else None

    def read_by_mlflow(self, body: bytes, content_type: str | None) -> Reading:
        """Read any request with the code of MLflow's server."""
        if content_type is None:
            text = b"The request names no Content-Type. Send application/json or text/csv."
            return Reading(None, Reply(415, text, "text/plain"))
        catch = self._catcher.catch()
        try:
            if content_type.partition(";")[0].strip() == scoring_server.CONTENT_TYPE_PARQUET:
                check_rows(_parquet_rows(body), self._max_rows)
            result = scoring_server.invocations(body, content_type, self._by_mlflow, self._input_schema)
        except TooManyRows as error:
            return Reading(None, refusal(413, "BAD_REQUEST", error.message), catch.params)
        except MlflowException as error:
            return Reading(None, refused(error), catch.params)
        if catch.request is None:
            return Reading(None, Reply(result.status, result.response.encode(), result.mimetype), catch.params)
        return Reading(catch.request)


class _Catch(threading.local):
    """What arrived at the model in this thread."""

    params: Mapping[str, Any] | None = None
    request: PlainRequest | None = None


class _Catcher(ChecksTables):
    """Stands where MLflow calls a model, and keeps what arrives there."""

    def __init__(
        self, manifest: Manifest, max_rows: int, entity_names: tuple[str, ...], log_names: tuple[str, ...]
    ) -> None:
        self._manifest = manifest
        self._max_rows = max_rows
        self._entity_names = entity_names
        self._log_names = log_names
        self._caught = _Catch()

    def catch(self) -> _Catch:
        """Forget what arrived before; what arrives next in this thread stands in what is returned."""
        self._caught.params = self._caught.request = None
        return self._caught

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Read a table, and answer nothing."""
        self._caught.params = params
        check_rows(len(model_input), self._max_rows)
        with _bounded(), public_errors():
            grouping, columns, sent = read_for_json(model_input, self._manifest, self._entity_names, self._log_names)
        self._caught.request = PlainRequest(grouping, columns, dict(params or {}), sent)
        return []


@contextmanager
def _bounded() -> Iterator[None]:
    """Refuse a body whose table takes more memory than there is."""
    try:
        yield
    except MemoryError as error:
        fact = "The body opens to more than this server takes."
        cause = BodyTooLarge(fact).with_traceback(error.__traceback__)
        raise PublicError(f"{fact} Send the rows in parts.", BAD_REQUEST) from cause


def check_rows(rows: int, limit: int) -> None:
    """Raise `TooManyRows` over the limit."""
    if rows > limit:
        raise TooManyRows(f"The request has {rows:,} rows; this server takes {limit:,}. Send them in parts.")


def _parquet_rows(body: bytes) -> int:
    """Read the number of rows without the rows, of which a small body may hold very many."""
    try:
        return int(pq.ParquetFile(io.BytesIO(body)).metadata.num_rows)
    except (pa.ArrowException, OSError, ValueError):  # MLflow's code says what is wrong with it
        return 0
