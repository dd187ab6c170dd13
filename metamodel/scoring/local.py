"""Score pandas tables and files on this machine; large files go through in parts, so memory does not grow with them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.datasets import SAMPLES, load_sample
from metamodel.exceptions import InputError
from metamodel.flavor.model_identity import model_identity
from metamodel.prediction.routing import output_columns
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.scoring.batch_answers import AskModel, Explore, Log, asking, log_settings, opened_model
from metamodel.scoring.summary import UNANSWERED, Errors, ScoreSummary, check_free
from metamodel.tables import files as tables
from metamodel.tables.csv_fields import with_parsed_fields
from metamodel.tables.dataframes import as_pandas, widened
from metamodel.tables.delta import DeltaName
from metamodel.tables.sources import no_table

__all__ = ["score_frame", "score_to_file"]


def score_frame(
    data: Any,
    model: Any,
    params: Mapping[str, Any] | None,
    prefix: str = "",
    explore: Explore = (None, ()),
    log: Log = None,
) -> Any:
    """Score a whole table; see `metamodel.scoring.score`."""
    model = opened_model(model, explore)
    settings = log_settings(log, model.manifest.features.names)
    table = as_pandas(data)
    frame = pd.concat(_parts(data, model, settings), ignore_index=True) if table is None else table
    readable = _readable(frame, data, model, settings)
    model.manifest.features.check_kinds(readable)
    with asking(model, settings, model_identity(model)) as ask:
        answers = ask(readable, params).add_prefix(prefix)
    check_free(frame.columns, answers.columns)
    return _beside(frame, answers) if table is None or table is data else widened(data, answers)


def score_to_file(
    data: str | Path,
    model: Any,
    output: str | Path,
    params: Mapping[str, Any] | None = None,
    prefix: str = "",
    explore: Explore = (None, ()),
    log: Log = None,
) -> ScoreSummary:
    """Score a file into another one, part by part.

    Parameters
    ----------
    data, model, params, prefix, explore, log
        As for `metamodel.scoring.score`.
    output
        Name of the file to write, ending in .parquet or .csv. It appears when it is complete.

    Raises
    ------
    InputError
        The output is what is read, or lies in it.
    """
    _check_apart(data, output)
    model = opened_model(model, explore)
    settings = log_settings(log, model.manifest.features.names)

    def scored(counted: _Counted) -> Iterator[pd.DataFrame]:
        for i, part in enumerate(_parts(data, model, settings)):
            readable = _readable(part, data, model, settings)
            # A wrong column is wrong from the start; the last part may be one row with one bad value.
            if i == 0:
                model.manifest.features.check_kinds(readable)
            answers = counted.answers(part, readable, params).add_prefix(prefix)
            check_free(part.columns, answers.columns)
            yield _beside(part, answers)

    with asking(model, settings, model_identity(model)) as ask:
        counted = _Counted(model, ask)
        tables.write_table(output, scored(counted))
    return counted.summary()


class _Counted:
    """Answers part by part, and counts what became of the rows."""

    def __init__(self, model: MetaModel, ask: AskModel) -> None:
        self._model = model
        self._ask = ask
        self._statuses: Counter[str] = Counter()
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._errors = Errors()

    def answers(self, part: pd.DataFrame, readable: pd.DataFrame, params: Mapping[str, Any] | None) -> pd.DataFrame:
        """Answer a part; the reasons are in the columns of `detail`, which who did not ask for them does not get."""
        answers = self._ask(readable, {**(params or {}), "detail": True})
        self._statuses.update(answers["status"].value_counts().to_dict())
        lost = answers[answers["status"].isin(UNANSWERED)]
        self._reasons.update(lost.groupby(["status", "error"]).size().to_dict())
        target = self._model.manifest.target
        if target.name in readable.columns:
            self._errors += Errors.of(readable[target.name], answers["prediction"], target.task)
        return answers[output_columns(self._model.route, self._model.options(params))]

    def summary(self) -> ScoreSummary:
        """Say what became of all parts."""
        metrics = self._errors.metrics(self._model.manifest.target.task)
        return ScoreSummary(dict(self._statuses), dict(self._reasons), metrics, self._errors.rows)


def _check_apart(data: str | Path, output: str | Path) -> None:
    if not isinstance(data, str | Path):
        raise no_table(data)
    source, target = (Path(DeltaName.parse(name).path).resolve() for name in (data, output))
    if source.exists() and (target == source or source in target.parents):
        raise InputError(f"The output {str(output)!r} is, or lies in, the table that is read. Name another file.")


def _parts(data: str | Path, model: MetaModel, log: LogSettings | None) -> Iterator[pd.DataFrame]:
    if not isinstance(data, str | Path):
        raise no_table(data)
    if isinstance(data, str) and data in SAMPLES:
        yield load_sample(data)
        return
    keys, features = model.manifest.keys, model.manifest.features
    # Texts that look like numbers ("007") would be read as numbers otherwise, and match no group and no category.
    texts = [column.name for column in keys.columns if column.kind == "string"]
    texts += features.texts
    texts += model.entity_names  # each of their fields is read by itself
    texts += log.columns if log is not None else ()  # as they are in the file, so that labels fit them
    yield from tables.read_batches(data, keys.names, texts)


def _readable(frame: pd.DataFrame, data: Any, model: MetaModel, log: LogSettings | None) -> pd.DataFrame:
    """Undo what one bad field does to a whole column of a CSV file.

    For the model alone: what is written has the column as it was read, of one type, or Parquet could not hold it.
    """
    if not isinstance(data, str | Path) or not tables.is_csv(data):
        return frame
    kinds: dict[str, str] = {feature.name: feature.kind for feature in model.manifest.features.features}
    numeric = {name: "number" for name, kind in kinds.items() if kind in ("number", "boolean")}
    # A group column may be a feature too; it is a key first.
    entities = dict.fromkeys([*model.entity_names, *(log.entity if log is not None else ())], "integer")
    keys = {column.name: column.kind for column in model.manifest.keys.columns}
    return with_parsed_fields(frame, entities | numeric | keys)


def _beside(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    if frame.index.is_unique:
        return pd.concat([frame, answers], axis=1)
    # concat aligns by index, which a duplicated index forbids; the rows are in the same order anyway.
    return frame.assign(**{str(name): answers[name].to_numpy() for name in answers.columns})
