"""One table in every shape that MLflow's scoring protocol has."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from places import SUPPORT
from servers import Server, scoring_server
from serving import CSV, JSON, PARQUET, post, strict


def values(frame: pd.DataFrame, orient: str) -> Any:
    """A frame's values, as JSON has them."""
    return json.loads(frame.to_json(orient=orient, date_format="iso", double_precision=15))


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    rows = values(frame, "split")["data"]
    return {name: [row[i] for row in rows] for i, name in enumerate(frame)}


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


Shape = Callable[[pd.DataFrame], tuple[str | bytes, str]]
SHAPES: dict[str, Shape] = {
    "dataframe_split": lambda frame: (json.dumps({"dataframe_split": values(frame, "split")}), JSON),
    "dataframe_records": lambda frame: (json.dumps({"dataframe_records": values(frame, "records")}), JSON),
    "instances": lambda frame: (json.dumps({"instances": values(frame, "records")}), JSON),
    "inputs of records": lambda frame: (json.dumps({"inputs": values(frame, "records")}), JSON),
    "inputs of columns": lambda frame: (json.dumps({"inputs": _columns(frame)}), JSON),
    "csv": lambda frame: (frame.to_csv(index=False), CSV),
    "parquet": lambda frame: (_parquet(frame), PARQUET),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def answers_of(server: Server, body: str | bytes, content_type: str = JSON) -> pd.DataFrame:
    """What a server answers to a body."""
    answer = post(server, body, content_type)
    assert answer.status_code == 200, f"{answer.text}\n{server.log}"
    return pd.DataFrame(strict(answer.text)["predictions"], dtype=object)


def records_of(server: Server, rows: list[dict[str, Any]], **params: Any) -> pd.DataFrame:
    """What a server answers to rows."""
    return answers_of(server, json.dumps({"dataframe_records": rows, "params": params}))


def serve(model_uri: str, directory: Path, workers: int = 1, **env: str) -> Any:
    """Run `mlflow models serve` on a model whose children are of the tests' own classes."""
    # The server imports the children's classes.
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return scoring_server(model_uri, directory, workers, {"PYTHONPATH": path, **env})
