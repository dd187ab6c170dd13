"""What the README shows is what comes out."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import metamodel

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_answer_to_the_readmes_request_is_the_one_it_shows():
    body = json.loads(re.search(r"-d '(\{.*?\})'\n```", README, re.DOTALL).group(1))
    shown = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL).group(1))["predictions"]
    result = metamodel.train("sales", ["country", "store", "product"], "units", time_column="week", unknown="fallback")
    answers = metamodel.MetaModel(result.bundle_path).predict(pd.DataFrame(body["dataframe_records"]), body["params"])
    predictions = [None if pd.isna(value) else value for value in answers["prediction"]]
    assert predictions == [pytest.approx(row["prediction"]) if row["prediction"] else None for row in shown]
    # The digest of a child depends on the versions of its libraries, all other columns on the data alone.
    columns = ["status", "key", "level", "error"]
    assert answers[columns].to_dict("records") == [{name: row[name] for name in columns} for row in shown]
