"""Children that are taken out of another meta-model."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference_stores import FAST, GROUPS, Registered, refer_to, refused, table_of

import metamodel
from metamodel.tracking.references.reference_model import write_references

pytestmark = [pytest.mark.server, pytest.mark.tableless]


@pytest.fixture(scope="module")
def other(registered: Registered) -> str:
    """URI of another meta-model, that has no child for store 1."""
    frame = registered.frame[registered.frame["store"] != 1]
    return str(
        metamodel.log_model(metamodel.train(frame, "store", "y", "ridge", n_jobs=1, holdout=0), report=False).model_uri
    )


def test_a_child_of_another_meta_model_is_used(registered: Registered, other: str, tmp_path: Path) -> None:
    rows = registered.rows[registered.rows["store"] < 3]
    children = table_of(other, "models:/store-1@champion", other)

    path = write_references(tmp_path / "b", children, rows, "store", "y", settings=FAST)

    answers = metamodel.load_model(path).predict(rows)
    assert set(answers["status"]) == {"child"}
    np.testing.assert_allclose(answers["prediction"], registered.expected[rows.index], rtol=1e-9)


def test_a_meta_model_that_many_groups_refer_to_is_looked_at_once(
    registered: Registered, other: str, tmp_path: Path
) -> None:
    children = pd.DataFrame({"store": range(2, GROUPS), "uri": other})
    registered.proxy.take()
    write_references(tmp_path / "b", children, registered.rows, "store", "y", settings=FAST)
    assert len(registered.proxy.take()) < 10


def test_a_group_that_another_meta_model_does_not_know_is_refused(registered: Registered, other: str) -> None:
    match = r"1 of 3 references .*That meta-model has no child for the group: \(1,\) → models:/"
    refused(registered, table_of(other, other, other), match)


def test_a_meta_model_with_other_group_columns_is_refused(registered: Registered, other: str) -> None:
    match = r"That meta-model's group columns are store \(integer\), not store \(string\)"
    example = registered.rows.assign(store=registered.rows["store"].astype(str))
    refused(registered, table_of(other, other).astype(str), match, example=example)


def test_a_promoted_meta_model_with_other_group_columns_is_refused_and_not_fetched_again(
    registered: Registered, empty_cache: Path, tmp_path: Path
) -> None:
    def promote(column: str) -> None:
        frame = registered.frame.rename(columns={"store": column})
        result = metamodel.train(frame, column, "y", "ridge", n_jobs=1, holdout=0)
        metamodel.log_model(result, registered_model_name="regrouped", alias="champion", report=False)

    promote("store")
    settings = metamodel.ReferenceSettings(requests_per_second=500, refresh_seconds=0.01)
    rows, model = refer_to(registered, "regrouped", tmp_path / "bundle", settings=settings)
    promote("shop")
    for _ in range(2):
        time.sleep(0.02)
        answers = model.predict(rows, {"detail": True})
        (fetched,) = (empty_cache / "entries").iterdir()
        os.utime(fetched, (0, 0))  # as if it had been fetched long ago
    assert answers["error"].str.contains(r"group columns are shop \(integer\), not store", regex=True).all()
