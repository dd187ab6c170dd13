"""What of the rows of a table goes into a bundle, a run and a logged model, and what `keep_rows=False` leaves out."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import metamodel
from metamodel.report.inspection import overview

# A number that is nowhere else.
SECRET = 1234.56789


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = 120
    return pd.DataFrame(
        {
            "shop": np.repeat(["a", "b", "c"], size // 3),
            "price": rng.normal(SECRET, 0.001, size),
            "kind": pd.Categorical(rng.choice(["x", "y"], size)),
            "pieces": rng.integers(900, 999, size),
            "sales": rng.normal(size=size),
        }
    )


def logged_files(result: metamodel.TrainingResult) -> tuple[Path, Path]:
    info = metamodel.log_model(result)
    model = Path(mlflow.artifacts.download_artifacts(info.model_uri))
    return model, Path(mlflow.artifacts.download_artifacts(f"runs:/{info.run_id}/"))


def test_without_rows_no_held_out_row_and_no_real_example_is_kept(table: pd.DataFrame) -> None:
    result = metamodel.train(table, "shop", "sales", n_jobs=1, features=["price", "kind", "pieces"], keep_rows=False)
    model, run = logged_files(result)

    assert "holdout.parquet" not in metamodel.MetaModel(result.bundle_path).manifest.files
    example = mlflow.pyfunc.load_model(str(model)).input_example
    assert example.to_dict("records") == [{"shop": "a", "price": 0.0, "kind": "x", "pieces": 0}]
    assert not list(run.rglob("actual_predicted.png"))
    assert "<circle" not in (run / "report.html").read_text(encoding="utf-8")
    assert len(result.holdout)  # for the one who trains, in memory


def test_by_default_held_out_rows_are_kept_and_shown(table: pd.DataFrame) -> None:
    result = metamodel.train(table, "shop", "sales", n_jobs=1, features=["price", "kind", "pieces"])
    model, run = logged_files(result)

    assert "holdout.parquet" in metamodel.MetaModel(result.bundle_path).manifest.files
    assert mlflow.pyfunc.load_model(str(model)).input_example["price"].iloc[0] == table["price"].iloc[0]
    assert list(run.rglob("actual_predicted.png"))
    assert "<circle" in (run / "report.html").read_text(encoding="utf-8")


def test_children_that_hold_rows_are_named(table: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    result = metamodel.train(table, "shop", "sales", "nearest_neighbors", n_jobs=1, features=["price", "pieces"])

    (finding,) = [finding for finding in result.findings if finding.check == "stored rows"]
    assert "KNeighborsRegressor hold rows that they were fitted on" in finding.message
    shown = overview(metamodel.MetaModel(result.bundle_path), 1)
    assert shown["data_checks"]["stored rows"] == finding.message
    assert finding.message in caplog.text


def test_an_update_without_rows_keeps_none_of_the_version_before(table: pd.DataFrame, tmp_path: Path) -> None:
    first = metamodel.train(table, "shop", "sales", n_jobs=1, features=["price", "pieces"])
    more = pd.concat([table, table[table["shop"] == "a"].assign(shop="d")])

    second = metamodel.update(metamodel.MetaModel(first.bundle_path), more, retrain="new", keep_rows=False)

    assert second.summary["groups_carried"] == 3
    assert "holdout.parquet" not in second.manifest.files
