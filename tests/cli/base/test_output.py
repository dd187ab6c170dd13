"""Results on stdout: text for people, strict JSON for programs."""

import json
import math
import os
from datetime import date
from pathlib import Path

import forked_programs
import numpy as np
import pandas as pd
import pytest
from command_line import TRAIN, strict
from hypothesis import given
from hypothesis import strategies as st
from servers import Server

from metamodel.cli.base.output import dumps, packed_text, section, table_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@pytest.mark.server
@pytest.mark.slow
def test_json_stays_json_where_mlflow_prints_links_to_a_server(folder: Path, tracking: Server) -> None:
    """MLflow writes two links for every run on a server to stdout."""
    env = {**os.environ, "MLFLOW_TRACKING_URI": tracking.url}
    done = forked_programs.run("metamodel", *TRAIN, "--data", "sales.csv", "--json", env=env)

    assert done.returncode == 0, done.stderr
    assert "View run" in done.stderr
    assert strict(done.stdout)["summary"]["groups"] == 9


def test_what_is_missing_or_infinite_is_null_and_numbers_stay_numbers() -> None:
    frame = pd.DataFrame({"n": pd.array([3, None], dtype="Int64"), "day": pd.to_datetime(["2026-01-01", None])})
    found = strict(dumps({"frame": frame, "top": (np.float32(0.5), np.inf, np.nan), 7: np.int64(7), "yes": np.True_}))

    rows = [{"n": 3, "day": "2026-01-01 00:00:00"}, {"n": None, "day": None}]
    assert found == {"frame": rows, "top": [0.5, None, None], "7": 7, "yes": True}


def test_a_section_shows_a_table_without_its_index_and_a_dict_entry_by_entry() -> None:
    table = section("worst", pd.DataFrame({"g": ["a", "b"], "rmse": [1234.5, 0.25]}, index=[17, 18]))
    assert [line.split()[0] for line in table.splitlines()] == ["worst", "g", "a", "b"]
    assert "17" not in table
    assert section("model", {"task": "regression"}).splitlines()[1].split() == ["task", "regression"]
    assert section("rows", 7) == "rows: 7"


def test_a_packed_model_is_said_with_the_reasons_of_what_was_left_out() -> None:
    packed = {"groups_stacked": 1200, "groups_fitted": 1203, "not_stacked": {"too few rows": 3}, "output": "out"}
    text = packed_text({**packed, "version": "2"}, "sales", "champion")

    assert "1,200 of 1,203 groups" in text
    assert "3  too few rows" in text
    assert text.endswith("registered        sales, version 2, alias champion")
    assert "registered" not in packed_text({**packed, "version": None}, None, None)


def without_nonfinite(value: object) -> object:
    """The value with null where JSON has no number for it."""
    if isinstance(value, dict):
        return {name: without_nonfinite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [without_nonfinite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(NESTED)
def test_json_is_strict_and_says_everything_that_is_finite(value: object) -> None:
    assert strict(dumps(value)) == without_nonfinite(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ((1, 2), [1, 2]),
        (date(2026, 1, 5), "2026-01-05"),
    ],
)
def test_what_json_has_no_word_for_becomes_the_nearest_that_it_has(value: object, expected: object) -> None:
    written = json.loads(dumps({"value": value}))["value"]
    assert (written, type(written)) == (expected, type(expected))


def test_long_texts_of_a_table_are_cut() -> None:
    text = table_text(pd.DataFrame({"reason": ["x" * 500]}))
    assert "x" * 50 in text
    assert max(map(len, text.splitlines())) <= 60
