"""`metamodel export`: one child as an ordinary model."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from command_line import FEATURES, by_hand, run
from sklearn.linear_model import Ridge


def test_exported_child_is_an_ordinary_model_that_predicts_the_same(
    folder: Path, sales: pd.DataFrame, trained: str
) -> None:
    result = run("export", trained, "--group", '[2, "P001"]', "--output", "child")

    assert result.exit_code == 0
    rows = sales[(sales["store"] == 2) & (sales["product"] == "P001")]
    child = mlflow.sklearn.load_model("child")
    assert type(child) is Ridge
    np.testing.assert_allclose(child.predict(rows[FEATURES]), by_hand(sales)[rows.index], rtol=1e-9)
    as_pyfunc = mlflow.pyfunc.load_model("child").predict(rows[FEATURES].astype(float))
    np.testing.assert_allclose(as_pyfunc, by_hand(sales)[rows.index], rtol=1e-9)


def test_export_leaves_an_existing_directory_alone(folder: Path, trained: str) -> None:
    Path("child").mkdir()

    result = run("export", trained, "--group", '[2, "P001"]', "--output", "child")

    assert result.exit_code == 2
    assert result.stderr == "error: child exists already. Name a directory that does not.\n"
    assert list(Path("child").iterdir()) == []
