"""Stores with a registered model each, for the tests of references: what they refer to, and how it is looked at."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from mlflow import MlflowClient
from registered_children import Unkind
from servers import Server

import metamodel
from metamodel.exceptions import InputError
from metamodel.tracking.references.reference_model import write_references

GROUPS = 24
FAST = metamodel.ReferenceSettings(requests_per_second=500)
TEMPLATE = "models:/store-{store}@champion"


@dataclass(frozen=True)
class Registered:
    """A tracking server with a registered model for each store, and the bundled model they came from."""

    server: Server
    proxy: Unkind
    frame: pd.DataFrame
    bundled: metamodel.MetaModel
    sources: list[str]

    @property
    def rows(self) -> pd.DataFrame:
        """Rows as callers send them."""
        return self.frame.drop(columns="y")

    @property
    def expected(self) -> Any:
        """What the bundled model says."""
        return self.bundled.predict(self.rows)["prediction"]


def downloads(proxy: Unkind) -> Counter[str]:
    """Pickles by source."""
    return Counter(path for _, path, status in proxy.take() if path.endswith("model.pkl") and status == 0)


def predicted_by(server: Server, rows: pd.DataFrame) -> list[float]:
    """What a server predicts for rows."""
    return [row["prediction"] for row in records_of(server, rows)]


def records_of(server: Server, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """What a server answers for rows."""
    body = json.dumps({"dataframe_split": rows.to_dict(orient="split")})
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{server.url}/invocations", data=body, headers=headers, timeout=60)
    assert answer.status_code == 200, f"{answer.text}\n{server.log}"
    records: list[dict[str, Any]] = answer.json()["predictions"]
    return records


def refer_to(registered: Registered, name: str, path: Path, **options: Any) -> Any:
    """Rows of store 1, and a model that refers to one registered model for it."""
    rows = registered.rows[registered.rows["store"] == 1]
    children = pd.DataFrame({"store": [1], "uri": [f"models:/{name}@champion"]})
    return rows, metamodel.load_model(write_references(path, children, rows, "store", "y", **options))


def refused(registered: Registered, children: Any, match: str, **options: Any) -> None:
    """Hold a reference to be refused, and nothing to be registered."""
    with pytest.raises(InputError, match=match):
        metamodel.reference(
            children,
            options.pop("example", registered.rows),
            "store",
            "y",
            settings=options.pop("settings", FAST),
            registered_model_name="refused",
            **options,
        )
    assert not MlflowClient().search_registered_models("name = 'refused'")


def table_of(*uris: str) -> pd.DataFrame:
    """A table that refers to these URIs, one a store."""
    return pd.DataFrame({"store": range(len(uris)), "uri": uris})
