"""Options written into a file say what was given; what only a program can give is named, and never copied."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from metamodel.training.options import OPTION_GROUPS
from metamodel.training.options.written import OBJECTS, config_text, written_down

PLAIN = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["tune", "estimator_params", "schema", "trials", "mine"]), PLAIN))
def test_plain_values_are_read_from_the_file_as_they_were_given(options):
    read = yaml.safe_load(config_text(written_down(options), OPTION_GROUPS))
    assert (read, list(read)) == (_grouped(options), list(_grouped(options)))


def _grouped(options):
    """Options under the keys of their groups, in the groups' order; all others behind them."""
    rest = dict(options)
    grouped = {g.key: {o.name: rest.pop(o.name) for o in g.options if o.name in rest} for g in OPTION_GROUPS}
    return {key: held for key, held in grouped.items() if held} | rest


def test_paths_numpy_values_and_tuples_become_plain():
    given_values = {
        "data": Path("tables") / "sales.csv",
        "trials": np.int64(5),
        "holdout": np.float32(0.25),
        "group_by": ("store", "product"),
        "estimator_params": {"alphas": (np.float64(1.0), 2)},
    }
    written = written_down(given_values)
    assert written == {
        "data": str(Path("tables") / "sales.csv"),
        "trials": 5,
        "holdout": 0.25,
        "group_by": ["store", "product"],
        "estimator_params": {"alphas": [1.0, 2]},
    }
    assert (type(written["trials"]), type(written["holdout"])) == (int, float)


def test_a_grid_of_values_and_names_in_a_column_are_written():
    assert written_down({"estimator_params": {"alphas": np.logspace(0, 2, 3)}, "features": pd.Series(["a", "b"])}) == {
        "estimator_params": {"alphas": [1.0, 10.0, 100.0]},
        "features": ["a", "b"],
    }


def test_what_was_not_given_is_not_written():
    assert written_down({"metric": None, "season": 0, "prune": False}) == {"season": 0, "prune": False}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Ridge(alpha=2.0), "Ridge(alpha=2.0)"),
        ({"mine": Ridge()}, "{'mine': Ridge()}"),
        ([Ridge(), "lasso"], "[Ridge(), 'lasso']"),
        (pd.DataFrame({"secret": ["Ada Lovelace"]}), "DataFrame"),
        ([pd.DataFrame({"secret": ["Ada Lovelace"]})], "list"),
        ({"mine": (pd.DataFrame({"secret": ["Ada Lovelace"]}),)}, "dict"),
        (pd.Series([0.5, 2.0]), "Series"),
        ({"weights": pd.Series([0.5, 2.0])}, "dict"),
        ({"weights": np.ones(101)}, "dict"),
        ({1: "a key that is no text"}, "{1: 'a key that is no text'}"),
        (len, "builtin_function_or_method"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_is_named_and_no_row_of_a_table_is_shown(value, text):
    assert written_down({"estimator": value, "target": "y"}) == {"target": "y", OBJECTS: {"estimator": text}}
