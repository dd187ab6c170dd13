"""What is put in place of MLflow's own, in a process that runs its scoring server and nowhere else.

**CSV.** MLflow's reader needs a pandas dtype for every input column and refuses a signature with the type Any, which
the group columns must have (see `metamodel.flavor.signature`). Here is one that knows the key schema. Other models'
signatures go to the original.

**JSON.** MLflow casts every column to its declared type, and pandas makes floats of integers that stand beside a null.
Here a body is read as the table that was sent (`metamodel.flavor.json_requests`).

**Refusals.** MLflow refuses some requests before a model sees them (no JSON, text in a column of numbers, params of a
wrong type). Its messages quote the rows, and some come with a traceback. The caller reads one that is made here
instead.

With `metamodel.flavor.remote.http_hook`, the place where MLflow's private parts are touched.
"""

import csv
import io
import itertools
import logging
import os
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pyarrow as pa
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR, ErrorCode
from mlflow.types import DataType, Schema

from metamodel.bundle.manifest import Manifest
from metamodel.common.messages import listing
from metamodel.common.traces import silenced
from metamodel.flavor.body_tables import (
    BodyTooLarge,
    csv_header,
    filled_csv_lines,
    opened_limit,
    read_parquet_table,
)
from metamodel.flavor.json_requests import read_json_body
from metamodel.flavor.refusal_texts import FORMATS, refusal_reason
from metamodel.flavor.signature import number_columns
from metamodel.tables.csv_fields import with_parsed_fields
from metamodel.tables.features import FeatureSchema
from metamodel.tables.files import csv_options
from metamodel.tables.large_integers import with_decimals

__all__ = ["PublicError", "is_serving", "take_over_server"]

_logger = logging.getLogger(__name__)

_NOTHING: Mapping[str, str] = {}

_SERVER = "mlflow.pyfunc.scoring_server"

# Set by MLflow's scoring server in its own process.
_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"

# What parsers and pandas raise over a body: nesting that is too deep, integers of thousands of digits, names or indexes
# that are lists. MLflow lets them through, as an error of the server.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class PublicError(MlflowException):
    """An error whose message may leave the server.

    MLflow's server writes the caller's rows in front of an error's message; this message stays as it was made.
    """

    def __init__(self, message: str, error_code: int = INTERNAL_ERROR) -> None:
        self._public = message
        super().__init__(message, error_code=error_code)

    def __reduce__(self) -> tuple[type["PublicError"], tuple[str, int]]:
        return type(self), (self._public, ErrorCode.Value(self.error_code))

    @property
    def message(self) -> str:
        """The message as it was made."""
        return self._public

    @message.setter
    def message(self, _: str) -> None:
        """Leave the message as it is."""


def is_serving() -> bool:
    """Whether MLflow's scoring server runs in this process."""
    return os.environ.get(_SERVING) == "true"


def take_over_server(
    manifest: Manifest,
    entity_names: Sequence[str] = (),
    logged_names: Mapping[str, str] = _NOTHING,
    opened_bytes: int | None = None,
) -> None:
    """Teach the scoring server of this process, if it is one, CSV, JSON without casts, and to refuse without quoting.

    Parameters
    ----------
    manifest
        Of the model that is served.
    entity_names
        Of a roll-out, columns that decide which model answers.
    logged_names
        Further columns of a request that are logged, and how a field of CSV is read there ("text", "integer"); no
        others are read.
    opened_bytes
        What the columns of a Parquet body may take; None for what METAMODEL_MAX_OPENED_MB says.

    Raises
    ------
    InputError
        METAMODEL_MAX_OPENED_MB is no number above 0.
    """
    server: Any = sys.modules.get(_SERVER)
    if server is not None:
        answered_by = [*dict.fromkeys([*manifest.keys.names, *manifest.features.names, *entity_names])]
        names_to_read = {*answered_by, *logged_names}
        _accept_csv(server, manifest, entity_names, logged_names)
        _read_json(server, manifest, answered_by)
        _accept_parquet(server, names_to_read, opened_limit() if opened_bytes is None else opened_bytes)
        _refuse_unreadable(server)
        _hide_rows(server, number_columns(manifest))


def _accept_csv(server: Any, manifest: Manifest, entity_names: Sequence[str], logged_names: Mapping[str, str]) -> None:
    original = getattr(server.parse_csv_input, "original", server.parse_csv_input)
    group_by = manifest.keys.names
    texts = [column.name for column in manifest.keys.columns if column.kind == "string"]
    texts += manifest.features.texts
    answered_by = {*manifest.keys.names, *manifest.features.names, *entity_names}
    names_to_read = {*answered_by, *logged_names}
    further = {name: kind for name, kind in logged_names.items() if name not in answered_by}
    texts += further
    kinds: dict[str, str] = {
        column.name: column.kind for column in manifest.keys.columns if column.kind in ("integer", "boolean")
    }
    numbers = {
        feature.name: "number" for feature in manifest.features.features if feature.kind in ("number", "boolean")
    }
    # A group column may be a feature too, or name the unit of a roll-out; it is a key first.
    kinds = further | dict.fromkeys(entity_names, "integer") | numbers | kinds
    group_by = list(dict.fromkeys([*group_by, *(name for name in entity_names if name not in numbers)]))
    exact = _exact_columns(manifest.features)

    def parse_csv_input(csv_input: str | TextIO, schema: Schema | None = None) -> pd.DataFrame:
        # `mlflow models predict` names no schema, and a file by its path; it has loaded this feature model.
        if schema is not None and all(isinstance(column.type, DataType) for column in schema.inputs):
            return original(csv_input=csv_input, schema=schema)
        body = Path(csv_input).read_text(encoding="utf-8") if isinstance(csv_input, str) else csv_input.read()
        return read_csv_body(body, group_by, texts, kinds, exact, names_to_read)

    parse_csv_input.original = original  # type: ignore[attr-defined]
    server.parse_csv_input = parse_csv_input


def _read_json(server: Any, manifest: Manifest, names: Sequence[str]) -> None:
    original = getattr(server.infer_and_parse_data, "original", server.infer_and_parse_data)
    exact = [name for name in names if name not in set(number_columns(manifest))]

    def infer_and_parse_data(data: Any, schema: Schema | None = None) -> Any:
        # `mlflow models predict` names no schema, nor does another model's signature name these columns.
        own = schema is None or (schema.has_input_names() and schema.input_names() == names)
        table = read_json_body(data, exact, lambda sent: original(sent, None)) if own else None
        return original(data, schema) if table is None else table

    infer_and_parse_data.original = original  # type: ignore[attr-defined]
    server.infer_and_parse_data = infer_and_parse_data


def _accept_parquet(server: Any, names_to_read: Collection[str], opened_bytes: int) -> None:
    def parse_parquet_input(parquet_input: Any) -> pd.DataFrame:
        try:
            return read_parquet_table(parquet_input, names_to_read, opened_bytes)
        except BodyTooLarge as error:
            raise PublicError(f"{error} Send the rows in parts.", BAD_REQUEST) from error
        except (pa.ArrowException, OSError, ValueError) as error:
            fact = f"The body is no Parquet file of flat columns ({type(error).__name__})."
            raise PublicError(f"{fact} {FORMATS}", BAD_REQUEST) from error

    server.parse_parquet_input = parse_parquet_input


def _refuse_unreadable(server: Any) -> None:
    original = getattr(server._parse_json_data, "original", server._parse_json_data)

    def parse_json_data(*given: Any) -> Any:
        try:
            parsed = original(*given)
            if isinstance(parsed.data, pd.DataFrame):
                set(parsed.data.columns)  # a TypeError where one of them is a list
        except MlflowException:
            raise
        except _UNREADABLE as error:
            raise PublicError(
                f"The body cannot be read as a table ({type(error).__name__}). {FORMATS}", BAD_REQUEST
            ) from error
        return parsed

    parse_json_data.original = original  # type: ignore[attr-defined]
    server._parse_json_data = parse_json_data


def _exact_columns(features: FeatureSchema) -> list[str]:
    """Name the features whose integers children tell apart though a float does not."""
    if features.layout == "array":
        return []
    return [
        one.name
        for one in features.features
        if one.form in ("int64", "uint64") or (one.kind == "category" and one.level_kind == "integer")
    ]


def read_csv_body(
    body: str,
    group_by: Sequence[str],
    texts: Sequence[str],
    kinds: Mapping[str, str],
    exact: Sequence[str] = (),
    names_to_read: Collection[str] | None = None,
) -> pd.DataFrame:
    r"""Read the rows of one request.

    Parameters
    ----------
    body
        A table with a header line.
    group_by
        Columns in which only an empty field is null.
    texts
        Columns to keep as text even where they look like numbers.
    kinds
        What the fields of other columns are, each by itself; see `metamodel.tables.csv_fields.with_parsed_fields`.
    exact
        Columns of integers that must not become floats, which do not hold all of them.
    names_to_read
        Columns to read, where the body has them; None to read all. What a body costs must not depend on how many
        others it has.

    Raises
    ------
    PublicError
        The body is no table, has a column twice, or a line with more fields than the header.

    Examples
    --------
    >>> read_csv_body("country,store\nNA,7\n,north\n", ["country", "store"], ["country"], {"store": "integer"})
      country  store
    0      NA      7
    1     NaN  north
    """
    try:
        columns = csv_header(body)
        _refuse_twice(columns, {*group_by, *texts, *kinds, *exact} if names_to_read is None else names_to_read)
        read = columns if names_to_read is None else [name for name in columns if name in names_to_read or not name]
        _refuse_long_lines(body, len(columns), all_are_read=len(read) == len(columns))
        of_keys = [name for name in kinds if name in group_by]
        as_text = [name for name in (*texts, *of_keys) if name in read]
        options = csv_options(read, group_by, as_text)
        options["dtype"] |= dict.fromkeys((name for name in exact if name in read), str)
        if len(read) < len(columns):
            places = dict(zip(columns, range(len(columns)), strict=True))
            options["usecols"] = [places[name] for name in read]
        frame = pd.read_csv(io.StringIO(body), **options)
    except (ValueError, csv.Error) as error:  # their own texts quote the body
        fact = f"The body is no CSV table with a header line ({type(error).__name__})."
        raise PublicError(fact, BAD_REQUEST) from error
    frame = with_parsed_fields(frame, kinds)
    frame = frame.assign(**{name: with_decimals(frame[name]) for name in frame if frame[name].dtype == object})
    whole = frame.select_dtypes(include="integer").columns.difference(list(group_by))
    return frame.astype(dict.fromkeys(whole, "float64"))


def _refuse_twice(columns: Sequence[str], own: Collection[str]) -> None:
    """Refuse a column that is there twice, and name it if it is the model's own: another name is the caller's text."""
    twice = sorted(name for name, times in Counter(columns).items() if times > 1)
    if named := [name for name in twice if name in own]:
        raise PublicError(f"The body has more than one column named {listing(map(repr, named))}.", BAD_REQUEST)
    if twice:
        raise PublicError("The body has more than one column of a name. Send each once.", BAD_REQUEST)


def _refuse_long_lines(body: str, columns: int, *, all_are_read: bool) -> None:
    """Refuse what pandas does not: values that may stand under another's name.

    Where it reads all columns it goes by the first line of values, which it takes for one with an index in front if it
    is longer than the header, and refuses those that are longer still.
    """
    lines = filled_csv_lines(body)
    if any(len(fields) > columns for fields in (itertools.islice(lines, 2) if all_are_read else lines)):
        raise PublicError("A line of the body has more fields than its header. Quote fields with commas.", BAD_REQUEST)


def _hide_rows(server: Any, numbers: Sequence[str]) -> None:
    original = getattr(server.invocations, "original", server.invocations)

    def invocations(data: Any, content_type: str, model: Any, input_schema: Any) -> Any:
        try:
            with silenced("mlflow"):  # which warns of params and columns by their names
                answer = original(data, content_type, model, input_schema)
        except PublicError as error:
            if isinstance(error.__cause__, BodyTooLarge):  # a status that MLflow's errors have not
                return server.InvocationsResponse(_serialized(error), 413, "application/json")
            raise
        except MlflowException as error:
            raise PublicError(refusal_reason(error.message, numbers), ErrorCode.Value(error.error_code)) from error
        if answer.status == 415:  # MLflow repeats the header
            return answer._replace(response=f"The Content-Type is none that this server reads. {FORMATS}")
        return answer

    invocations.original = original  # type: ignore[attr-defined]
    server.invocations = invocations


def _serialized(error: MlflowException) -> str:
    return str(error.serialize_as_json())
