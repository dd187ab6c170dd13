"""The meta-model that refers to the children it has logged."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sales_groups import assert_same_answers, child_models, logged_as_models, sales_table

import metamodel
from metamodel.bundle.references import Reference


def test_references_answer_as_the_bundle_for_every_status(sales: metamodel.TrainingResult, info: Any) -> None:
    known = sales_table()
    rows = pd.concat([known, known.head(2).assign(store="new"), known.head(1).assign(country="XX")])
    assert_same_answers(sales, info.model_uri, rows, unknown="fallback")
    assert_same_answers(sales, info.model_uri, rows, unknown="null")
    model = metamodel.load_model(info.model_uri)
    assert len(child_models(info)) == model.ledger["uri"].ne("").sum() == 6
    assert model.ledger["sha256"].str[:12].isin(model.predict(sales_table())["child_version"]).any()
    assert list(model.ledger.columns) == [*sales.ledger.columns, "uri"]


def test_bytes_that_are_not_those_that_were_logged_are_not_loaded(info: Any) -> None:
    (model,) = [found for found in child_models(info) if found.tags.get("store") == "x"]
    path = Path(model.artifact_location.removeprefix("file://")) / "model.pkl"
    path.write_bytes(path.read_bytes() + b" ")
    answers = metamodel.load_model(info.model_uri, cache_bytes=10**8).predict(sales_table(), {"detail": True})
    assert set(answers.loc[sales_table()["store"].eq("x"), "status"]) == {"failed"}
    assert "not those that were logged" in answers.loc[sales_table()["store"].eq("x").idxmax(), "error"]
    assert set(answers.loc[sales_table()["country"].eq("FR"), "status"]) == {"child"}


def test_references_without_a_digest_are_written_as_ever() -> None:
    assert b"sha256" not in Reference("models:/m-1").to_json()
    pinned = Reference("models:/m-1", sha256="ab")
    assert Reference.from_json(pinned.to_json()) == pinned


@pytest.mark.parametrize("options", [{"shrinkage": "relative", "unknown": "fallback"}, {"interval": 0.8}])
def test_figures_of_the_groups_go_with_the_references(options: dict[str, Any]) -> None:
    frame = pd.concat([sales_table()] * 4).assign(u=lambda table: table["u"] + np.arange(len(table)) / 100)
    result = metamodel.train(frame, ["country", "store"], "y", n_jobs=1, **options)
    assert_same_answers(result, logged_as_models(result).model_uri, frame)
