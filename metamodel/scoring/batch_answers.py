"""The answers of a batch: from a model, and into the log where one is kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.exploring_model import exploring
from metamodel.flavor.answer_log import AnswerLog
from metamodel.prediction_log.batch_log import BatchLog
from metamodel.prediction_log.log_files import new_name
from metamodel.prediction_log.log_settings import LogSettings

__all__ = ["AskModel", "Explore", "Log", "asking", "log_settings", "opened_model"]

# Share of entities that parents answer, and columns that name one; as for `exploring`.
Explore = tuple[float | None, Sequence[str] | str]

# Where answers are logged; as for `log_settings`.
Log = LogSettings | str | Path | None


class AskModel(Protocol):
    """Answers a table, as `MetaModel.predict` does."""

    def __call__(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answer every row."""
        ...


def opened_model(model: Any, explore: Explore) -> MetaModel:
    """Open the model of a batch, if it is not open yet, with its control group if it is to have one."""
    if not isinstance(model, MetaModel):
        from metamodel.flavor.load import load_model  # MLflow, which Spark's workers need not wait for

        model = load_model(model)
    return exploring(model, *explore)


def log_settings(log: Log, features: Sequence[str]) -> LogSettings | None:
    """Complete what a caller said of the log; None for no log.

    Parameters
    ----------
    log
        The settings, or the folder alone: all else is then as METAMODEL_LOG_SAMPLE and its like say.
    features
        The model's.

    Raises
    ------
    InputError
        A setting cannot be, or names a column that the model has not.
    """
    settings = LogSettings.of({"folder": log}) if isinstance(log, str | Path) else log
    if settings is not None:
        settings.check_drop(tuple(features))
    return settings


@contextmanager
def asking(
    model: MetaModel, settings: LogSettings | None, named: tuple[str, str] = ("", ""), name: str = ""
) -> Iterator[AskModel]:
    """Ask a model for one batch, or for one partition of one; what is logged is there when the block has ended well.

    Parameters
    ----------
    model
        Who answers.
    settings
        Of the log; None for no log.
    named
        Name and version of the model, for the log (`metamodel.flavor.model_identity`).
    name
        Under which the log's files stand; the same again replaces them. By default no other has it.
    """
    if settings is None:
        yield model.predict
        return
    with BatchLog(settings, name or new_name()) as log:
        answering = AnswerLog(model, log, named)

        def ask(frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
            return answering.answer_table(frame, params, frame).frame(frame.index)

        yield ask
