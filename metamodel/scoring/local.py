"""Score pandas tables and files on this machine; large files go through in parts, so memory does not grow with them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel import tables
from metamodel.datasets import SAMPLES, load_sample
from metamodel.exceptions import InputError
from metamodel.fetching import load_model
from metamodel.model import MetaModel
from metamodel.wording import listing

__all__ = ["score", "score_file"]


def score(data: pd.DataFrame | str | Path, model: Any, params: Mapping[str, Any] | None) -> pd.DataFrame:
    """Score a whole table; see `metamodel.scoring.score`."""
    model = model if isinstance(model, MetaModel) else load_model(model)
    frame = data if isinstance(data, pd.DataFrame) else pd.concat(_parts(data, model), ignore_index=True)
    return _scored(frame, model, params)


def score_file(
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
        for part in _parts(data, model):
            answers = _scored(part, model, params)
            statuses.update(answers["status"].value_counts().to_dict())
            yield answers

    tables.write_table(output, scored())
    return dict(statuses)


def _parts(data: str | Path, model: MetaModel) -> Iterator[pd.DataFrame]:
    if isinstance(data, str) and data in SAMPLES:
        yield load_sample(data)
        return
    keys, features = model.manifest.keys, model.manifest.features
    # Texts that look like numbers ("007") would be read as numbers otherwise, and match no group and no category.
    texts = [column.name for column in keys.columns if column.kind == "string"]
    texts += [feature.name for feature in features.features if feature.kind in ("string", "category")]
    yield from tables.read_batches(data, keys.names, texts)


def _scored(frame: pd.DataFrame, model: MetaModel, params: Mapping[str, Any] | None) -> pd.DataFrame:
    model.manifest.features.check_kinds(frame)
    answers = model.predict(frame, params)
    if clash := [name for name in answers.columns if name in frame.columns]:
        raise InputError(
            f"The table already has the column {listing(map(repr, clash))}, which scoring adds. Rename it first."
        )
    return pd.concat([frame, answers], axis=1) if frame.index.is_unique else _beside(frame, answers)


def _beside(frame: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    # concat aligns by index, which a duplicated index forbids; the rows are in the same order anyway.
    return frame.assign(**{str(name): answers[name].to_numpy() for name in answers.columns})
