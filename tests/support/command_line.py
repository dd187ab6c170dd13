"""The command line as tests use it: called in this process, with what it says read as other programs would."""

import json
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import Ridge

from metamodel.cli import main

FEATURES = ["price", "promotion", "trend"]
TRAIN = ["train", "--group-by", "store,product", "--target", "units", "--features", ",".join(FEATURES), "--n-jobs", "1"]


def run(*arguments: str, report: bool = False) -> Result:
    """Call a command; what it logs gets its pictures and its report where they are asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if arguments[0] in ("train", "update") and not report:
            patch.setattr("metamodel.tracking.run_contents._write_pictures", lambda result, directory: None)
        return CliRunner().invoke(main, arguments, catch_exceptions=False)


def strict(text: str) -> Any:
    """Parse JSON as other languages do: NaN is none."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def by_hand(sales: pd.DataFrame) -> pd.Series:
    """What one Ridge for each group predicts for its own rows."""
    parts = []
    for _, group in sales.dropna(subset="units").groupby(["store", "product"]):
        if len(group) > 1:
            child = Ridge().fit(group[FEATURES].to_numpy(float), group["units"].to_numpy())
            rows = sales.loc[
                (sales["store"] == group["store"].iloc[0]) & (sales["product"] == group["product"].iloc[0])
            ]
            parts.append(pd.Series(child.predict(rows[FEATURES].to_numpy(float)), index=rows.index))
    return pd.concat(parts).reindex(sales.index)
