"""From the bytes of a request to the bytes of its answer, as MLflow's scoring server would give it."""

import json
from typing import Any

import orjson
from mlflow.models import Model

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.flavor.answer_log import AnswerLog
from metamodel.flavor.model_identity import model_identity
from metamodel.flavor.pyfunc import public_errors
from metamodel.flavor.scoring_server import PublicError
from metamodel.flavor.signature import signature
from metamodel.prediction.answers import Answers
from metamodel.prediction_log.log_writer import PredictionLog
from metamodel.serving.body_reader import BodyReader, Reading, TooManyRows, check_rows
from metamodel.serving.json_request import PlainRequest
from metamodel.serving.replies import Reply, refusal, refused

__all__ = ["VERSION_HEADER", "Scorer"]

# Says with every answer which version it is from.
VERSION_HEADER = b"metamodel-version"

# Rows that are written by one call.
_PIECE_ROWS = 2048


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
    opened_bytes
        What a Parquet body's columns may take; None for what is usual.

    Attributes
    ----------
    model, version
        As above.
    versions
        The registered version, and that of the challenger beside it; "" for none.
    headers
        What goes with every answer.
    reader
        Reads the bodies, here or in another process.
    """

    def __init__(
        self,
        model: MetaModel,
        max_rows: int,
        version: str = "",
        log: PredictionLog | None = None,
        opened_bytes: int | None = None,
    ) -> None:
        self.model = model
        self._log = None if log is None else AnswerLog(model, log, model_identity(model, version))
        self.version = version
        self.versions = [version, _challenger_version(model)]
        # A name may hold what no header can.
        plain = version.encode("ascii", errors="backslashreplace")
        self.headers = [(VERSION_HEADER, plain)] if version else []
        self._max_rows = max_rows
        logged_columns = {} if self._log is None else self._log.columns
        self.reader = BodyReader(
            model.manifest, _logged(model), max_rows, tuple(model.entity_names), logged_columns, opened_bytes
        )
        if isinstance(model, RolloutModel):
            model.is_serving = True

    @property
    def models(self) -> list[MetaModel]:
        """The models that were opened: one, or a champion and the challenger beside it."""
        if not isinstance(self.model, RolloutModel):
            return [self.model]
        return [model for model in (self.model.champion, self.model.challenger) if model is not None]

    @property
    def is_asking(self) -> bool:
        """Whether a challenger is still at work on rows that were answered."""
        return isinstance(self.model, RolloutModel) and self.model.is_asking

    def close(self) -> None:
        """Let the threads of a challenger end; it is asked no more."""
        if isinstance(self.model, RolloutModel):
            self.model.close()

    def read(self, body: bytes, content_type: str | None) -> PlainRequest | None:
        """Read a plain request, or return None where MLflow's code has to read it."""
        return self.reader.read_plain(body, content_type)

    def is_quick(self, request: PlainRequest) -> bool:
        """Whether nothing has to be loaded or fetched for an answer."""
        return self.model.at_hand((request.grouping, request.columns), request.params, request.entities)

    def answer(self, request: PlainRequest) -> Reply:
        """Answer a request that is read."""
        try:
            check_rows(len(request.grouping.codes), self._max_rows)
            with public_errors():
                read = request.grouping, request.columns
                answer = self.model.answer if self._log is None else self._log.answer
                answers = answer(read, request.params, request.entities)
                return Reply(200, _written(answers))
        except TooManyRows as error:
            return refusal(413, "BAD_REQUEST", error.message)
        except PublicError as error:
            return refused(error)

    def answer_reading(self, reading: Reading) -> Reply:
        """Answer a request that is read, or refuse it: what is wrong with its params is said first."""
        if reading.request is not None:
            return self.answer(reading.request)
        assert reading.refusal is not None
        try:
            with public_errors():
                self.model.route.check(self.model.options(reading.params))
        except PublicError as error:
            return refused(error)
        return reading.refusal

    def answer_by_mlflow(self, body: bytes, content_type: str | None) -> Reply:
        """Answer any request as it is read by the code of MLflow's server."""
        return self.answer_reading(self.reader.read_by_mlflow(body, content_type))


def _challenger_version(model: MetaModel) -> str:
    facts = (model.rollout.challenger if isinstance(model, RolloutModel) else None) or {}
    return f"{facts['name']}/{facts['version']}" if facts.get("version") else ""


def _logged(model: MetaModel) -> Model:
    """Find what MLflow recorded of the model, above all its signature; for a bare bundle, make the same."""
    if model.logged is not None:
        return Model.load(str(model.logged))
    made = Model(signature=signature(model.manifest, model.route, model.options(), model.entity_names))
    made.add_flavor("python_function", loader_module="mlflow.pyfunc.model")
    return made


def _written(answers: Answers) -> bytes:
    """Write answers in pieces: one call that writes a million rows would keep the interpreter from the event loop."""
    pieces = [_dumps(piece)[1:-1] for piece in answers.record_pieces(_PIECE_ROWS)]
    return b'{"predictions":[%b]}' % b",".join(pieces)


def _dumps(answer: Any) -> bytes:
    try:
        return orjson.dumps(answer)
    except TypeError:  # a lone surrogate in a label or a message, which UTF-8 cannot hold
        return json.dumps(answer).encode()
