"""Score pandas tables and files on this machine; large files go through in parts, so memory does not grow with them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import listing
from metamodel.datasets import SAMPLES, load_sample
from metamodel.exceptions import InputError
from metamodel.flavor.load import load_model
from metamodel.tables import files as tables
from metamodel.tables.sources import no_table

__all__ = ["score_frame", "score_to_file"]


def score_frame(data: pd.DataFrame | str | Path, model: Any, params: Mapping[str, Any] | None) -> pd.DataFrame:
    """Score a whole table; see `metamodel.scoring.score`."""
    model = model if isinstance(model, MetaModel) else load_model(model)
    frame = data if isinstance(data, pd.DataFrame) else pd.concat(_parts(data, model), ignore_index=True)
    readable = _readable(frame, data, model)
    model.manifest.features.check_kinds(readable)
    return _scored(frame, readable, model, params)


def score_to_file(
    data: str | Path, model: Any, output: str | Path, params: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Score a file into another one, part by part.

    Parameters
    ----------
    data, model, params
        As for `metamodel.scoring.score`.
    output
        Name of the file to write, ending in .parquet or .csv. It appears when it is complete.

    Returns
    -------
    dict
        Rows by status.
    """
    model = model if isinstance(model, MetaModel) else load_model(model)
    statuses: Counter[str] = Counter()

    def scored() -> Iterator[pd.DataFrame]:
        for i, part in enumerate(_parts(data, model)):
            readable = _readable(part, data, model)
            # A wrong column is wrong from the start; the last part may be one row with one bad value.
            if i == 0:
                model.manifest.features.check_kinds(readable)
            answers = _scored(part, readable, model, params)
            statuses.update(answers["status"].value_counts().to_dict())
            yield answers

    tables.write_table(output, scored())
    return dict(statuses)


def _parts(data: str | Path, model: MetaModel) -> Iterator[pd.DataFrame]:
    if not isinstance(data, str | Path):
        raise no_table(data)
    if isinstance(data, str) and data in SAMPLES:
        yield load_sample(data)
        return
    keys, features = model.manifest.keys, model.manifest.features
    # Texts that look like numbers ("007") would be read as numbers otherwise, and match no group and no category.
    texts = [column.name for column in keys.columns if column.kind == "string"]
    texts += [feature.name for feature in features.features if feature.kind in ("string", "category")]
    yield from tables.read_batches(data, keys.names, texts)


def _readable(frame: pd.DataFrame, data: Any, model: MetaModel) -> pd.DataFrame:
    """Undo what one bad field does to a whole column of a CSV file.

    For the model alone: what is written has the column as it was read, of one type, or Parquet could not hold it.
    """
    if not isinstance(data, str | Path) or not tables.is_csv(data):
        return frame
    kinds: dict[str, str] = {feature.name: feature.kind for feature in model.manifest.features.features}
    numeric = {name: "number" for name, kind in kinds.items() if kind in ("number", "boolean")}
    # A group column may be a feature too; it is a key first.
    return tables.with_parsed_fields(
        frame, numeric | {column.name: column.kind for column in model.manifest.keys.columns}
    )


def _scored(
    frame: pd.DataFrame, readable: pd.DataFrame, model: MetaModel, params: Mapping[str, Any] | None
) -> pd.DataFrame:
    answers = model.predict(readable, params)
    if clash := [name for name in answers.columns if name in frame.columns]:
        raise InputError(
            f"The table already has the column {listing(map(repr, clash))}, which scoring adds. Rename it first."
        )
    return pd.concat([frame, answers], axis=1) if frame.index.is_unique else _beside(frame, answers)


def _beside(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    # concat aligns by index, which a duplicated index forbids; the rows are in the same order anyway.
    return frame.assign(**{str(name): answers[name].to_numpy() for name in answers.columns})
