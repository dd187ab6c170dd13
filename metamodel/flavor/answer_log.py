"""A model that hands what it answers to the prediction log; its answers are the same with and without one."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.bundle.monitored.stored_reference import read_drift
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.evaluation.drift.model_reference import ModelReference
from metamodel.prediction.answers import Answers
from metamodel.prediction_log.answered_rows import AnsweredRows, LoggedModel
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.prediction_log.log_writer import PredictionLog
from metamodel.prediction_log.process_log import process_log
from metamodel.tables.features import FeatureColumns
from metamodel.tables.grouping import Grouping

__all__ = ["AnswerLog", "RowLog", "is_there_once", "log_of_environment"]

_logger = logging.getLogger(__name__)

_NOTHING: Mapping[str, Any] = {}


def log_of_environment(model: MetaModel) -> PredictionLog | None:
    """Open the log that METAMODEL_LOG and its like name; None where they name none.

    Raises
    ------
    InputError
        A setting cannot be, or names a column that the model has not.
    """
    settings = LogSettings.of({})
    if settings is None:
        return None
    settings.check_drop(tuple(model.manifest.features.names))
    log = process_log(settings)
    log.make_folder()
    return log


class RowLog(Protocol):
    """Where answered rows go: a process's queue, or a batch's file."""

    settings: LogSettings

    def put(self, rows: AnsweredRows) -> None:
        """Take rows over; never raises."""
        ...


class AnswerLog:
    """Answers as a model does, and logs it.

    Parameters
    ----------
    model
        Who answers.
    log
        Where to.
    named
        Name and version of the model (`model_identity`).
    """

    def __init__(self, model: MetaModel, log: RowLog, named: tuple[str, str]) -> None:
        self._model = model
        self._log = log
        target, features = model.manifest.target, tuple(model.manifest.features.features)
        reference = _reference(model) if log.settings.features == "counts" else None
        share = _challenger_share(model)
        self._logged = LoggedModel(*named, target.task, target.label_kind, features, reference, share)
        if isinstance(model, RolloutModel):
            model.is_logged = True

    @property
    def columns(self) -> dict[str, str]:
        """Columns of a request that are wanted besides the model's features and group columns; see `LogSettings`."""
        return self._log.settings.columns | dict.fromkeys(self._model.entity_names, "integer")

    def answer(
        self,
        read: tuple[Grouping, FeatureColumns],
        params: Mapping[str, Any] | None,
        sent: Mapping[str, Sequence[Any]] = _NOTHING,
    ) -> Answers:
        """Answer rows that are read; raises as `MetaModel.answer` does.

        Parameters
        ----------
        read, params
            As for `MetaModel.answer`.
        sent
            The rows' values of `columns`, as far as they came.
        """
        began, started = time.time_ns(), time.perf_counter()
        # Without a roll-out's own columns in the model's call nothing is different.
        entities = {name: sent[name] for name in self._model.entity_names if name in sent}
        answers = self._model.answer(read, params, entities)
        seconds = time.perf_counter() - started
        self._log.put(AnsweredRows(self._logged, *read, answers, began // 1000, seconds, sent))
        return answers

    def answer_table(self, table: pd.DataFrame, params: Mapping[str, Any] | None, frame: pd.DataFrame) -> Answers:
        """Answer a table of pandas; `frame` is the table as it came, with the columns that only the log wants."""
        self._model.options(params)  # what is wrong with the params is said first, as without a log
        sent = {name: frame[name].astype(object).tolist() for name in self.columns if is_there_once(name, frame)}
        return self.answer(self._model.route.read(table), params, sent)


def _challenger_share(model: MetaModel) -> float | None:
    """Say what a roll-out's units were meant to be divided by; no tag says it of a challenger that a server opened."""
    is_divided = isinstance(model, RolloutModel) and model.rollout.mode in ("ab", "canary")
    return float(model.rollout.fraction) if is_divided else None  # type: ignore[attr-defined]  # of a roll-out


def _reference(model: MetaModel) -> ModelReference | None:
    """Read the bins in which a model's rows are counted; where it has none, say so."""
    stored = read_drift(model.bundle, bins_only=True)
    if stored is None:
        _logger.warning(
            "%s was trained without a reference, so that no feature is counted in the log. "
            'Train with it, or log the features themselves ("all") or nothing of them ("none").', model.path
        )  # fmt: skip
        return None
    return ModelReference(tuple(stored[0]), stored[1])


def is_there_once(name: str, frame: pd.DataFrame) -> bool:
    """Whether a table has a column of this name, and no second one."""
    return name in frame.columns and isinstance(frame[name], pd.Series)
