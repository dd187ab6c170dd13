"""A batch with a log: the same output, and every row in the log, with its id as the file has it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from logged_rows import rows_in
from rolled_out import panel, two_models, visitors

import metamodel
from metamodel.bundle.rollout.rollout_model import RolloutModel
from metamodel.evaluation.drift.window_counts import ROWS
from metamodel.exceptions import InputError
from metamodel.prediction.rollout.rollout_plan import Rollout
from metamodel.prediction_log.log_counts import read_log_counts
from metamodel.prediction_log.log_settings import LogSettings
from metamodel.scoring import score_file


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[metamodel.MetaModel, metamodel.MetaModel]:
    return two_models(tmp_path_factory.mktemp("batches"))


@pytest.fixture
def model(models: tuple[metamodel.MetaModel, metamodel.MetaModel]) -> metamodel.MetaModel:
    return models[0]


@pytest.fixture
def batch() -> pd.DataFrame:
    return visitors(60).assign(row_id=[f"{i:03d}" for i in range(60)])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_output_is_the_same_with_a_log_and_every_row_is_in_it(
    model: metamodel.MetaModel, batch: pd.DataFrame, tmp_path: Path, ending: str
) -> None:
    source = tmp_path / f"batch.{ending}"
    batch.to_csv(source, index=False) if ending == "csv" else batch.to_parquet(source)

    plain = score_file(source, model, str(tmp_path / "plain.csv"))
    logged = score_file(source, model, str(tmp_path / "logged.csv"), log=tmp_path / "log")

    assert logged == plain
    answers = [pd.read_csv(tmp_path / f"{name}.csv").drop(columns="row_id") for name in ("plain", "logged")]
    pd.testing.assert_frame_equal(*answers)
    rows = rows_in(tmp_path / "log").set_index("row_id")
    assert rows.index.tolist() == batch["row_id"].tolist()
    np.testing.assert_allclose(rows["prediction"], answers[0]["prediction"], rtol=1e-12)
    assert rows["key"].notna().all()
    ((file, counts),) = read_log_counts(tmp_path / "log")
    assert (file.model, counts.totals[:, ROWS].sum()) == (rows["model"].iloc[0], 60)


def test_a_table_is_logged_under_its_registered_version(batch: pd.DataFrame, tmp_path: Path) -> None:
    result = metamodel.train(panel(), "shop", "y", "ridge", features=["x", "z"], n_jobs=1)
    metamodel.log_model(result, registered_model_name="batches", alias="champion", report=False)
    scored = metamodel.score(batch, "models:/batches@champion", log=str(tmp_path / "log"))
    rows = rows_in(tmp_path / "log")
    assert set(zip(rows["model"], rows["version"], strict=True)) == {("batches", "1")}
    np.testing.assert_array_equal(rows["prediction"], scored["prediction"])


def test_a_challenger_in_the_shadow_answers_every_row_of_a_batch(
    models: tuple[metamodel.MetaModel, metamodel.MetaModel], batch: pd.DataFrame, tmp_path: Path
) -> None:
    model, challenger = models
    both = RolloutModel(model, challenger, Rollout.of(None, mode="shadow", salt="s"))

    scored = metamodel.score(batch, both, log=tmp_path / "log")

    rows = rows_in(tmp_path / "log")
    np.testing.assert_array_equal(scored["prediction"], model.predict(batch)["prediction"])
    np.testing.assert_array_equal(rows["shadow_prediction"], challenger.predict(batch)["prediction"])


def test_a_batch_that_ends_with_an_error_logs_nothing(
    model: metamodel.MetaModel, batch: pd.DataFrame, tmp_path: Path
) -> None:
    batch.to_parquet(tmp_path / "batch.parquet")
    with pytest.raises(InputError, match="is no table that can be written"):
        score_file(tmp_path / "batch.parquet", model, str(tmp_path / "out.xlsx"), log=tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_column_to_drop_that_is_none_is_refused_before_anything_is_scored(
    model: metamodel.MetaModel, batch: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="log_drop=nothing is neither"):
        metamodel.score(batch, model, log=LogSettings(tmp_path, drop=("nothing",)))


@pytest.mark.parametrize(("mode", "share"), [("ab", 0.4), ("shadow", None)])
def test_rows_of_a_roll_out_say_which_share_the_challenger_was_to_have(
    models: tuple[metamodel.MetaModel, metamodel.MetaModel],
    batch: pd.DataFrame,
    tmp_path: Path,
    mode: str,
    share: float | None,
) -> None:
    both = RolloutModel(*models, Rollout.of("customer", mode=mode, fraction=0.4, salt="s"))
    metamodel.score(batch, both, log=tmp_path / "log")
    shares = set(rows_in(tmp_path / "log")["challenger_share"].dropna())
    assert shares == ({share} if share else set())
