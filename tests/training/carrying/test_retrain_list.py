"""A list of groups to retrain is read from whatever holds it; what it cannot mean is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from metamodel.exceptions import InputError
from metamodel.tables.keys import KeySchema
from metamodel.training.carrying.retrain_list import read_retrain_list

KEYS = KeySchema.infer(pd.DataFrame({"country": ["FR", "DE"], "shop": [1, 2]}), ["country", "shop"], "error")
KNOWN = [("FR", 1), ("DE", 2), ("FR",), ()]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (None, {}),
        ([("FR", 1)], {'["FR",1]': "listed"}),
        (pd.DataFrame({"country": ["FR"], "shop": [1], "reasons": ["drift"]}), {'["FR",1]': "drift"}),
        ([{"key": '["FR"]', "reasons": ["drift", "performance"]}], {'["FR"]': "drift, performance"}),
        ([{"key": "[]"}, {"key": '["DE",2]', "blocked": True}], {"[]": "listed"}),
        ([{"country": "DE", "shop": 2, "reasons": None}], {'["DE",2]': "listed"}),
    ],
)
def test_groups_are_listed_by_columns_or_by_key(table: Any, expected: dict[str, str]) -> None:
    assert read_retrain_list(table, KEYS, KNOWN) == expected


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_is_a_list_too(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"list.{ending}"
    table = pd.DataFrame({"country": ["FR"], "shop": [1]})
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    assert read_retrain_list(path, KEYS, KNOWN) == {'["FR",1]': "listed"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([("FR", 9), ("FR", 8)], r"names 2 groups that this table does not have: \('FR', 9\), \('FR', 8\). Correct"),
        ([{"country": "FR"}], r"does not name groups. Give a table with country, shop, or with key"),
        (["FR"], "does not name groups"),
        (pd.DataFrame({"shop": [1, 2]}), r"retrain_list has the columns shop, and does not name groups\. Give"),
        ([{"key": "FR"}], r"has the key 'FR', which is none"),
        ([("FR", 1.5)], "has a key that is none"),
    ],
)
def test_what_it_cannot_mean_is_refused_in_one_line(table: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_retrain_list(table, KEYS, KNOWN)
