"""An estimator that writes into its rows is trained, judged, tuned and asked like its twin that does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from in_place import PAIRS, days, pair
from sklearn.linear_model import LogisticRegression, Ridge

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.report.permutation import permute_worst
from metamodel.training.result import TrainingResult

FIGURES = ["holdout_rmse", "holdout_mae", "train_rmse", "baseline_rmse", "skill", "stack"]

LABELLED = ["holdout_accuracy", "holdout_log_loss", "train_accuracy", "train_log_loss"]


def trained(estimator: Any, folder: Path, target: str = "sun", **options: Any) -> TrainingResult:
    table = options.pop("table", None)
    table = days() if table is None else table
    features = [name for name in table.columns if name not in ("station", "sun", "bright")]
    options = {"n_jobs": 1, "features": features, **options}
    return metamodel.train(table, "station", target, estimator, output_dir=folder, **options)


def twins(name: str, last: Any, folder: Path, target: str = "sun", **options: Any) -> list[TrainingResult]:
    return [
        trained(estimator, folder / kind, target, **options)
        for kind, estimator in zip(("writes", "copies"), pair(name, last), strict=True)
    ]


def model_of(result: TrainingResult) -> MetaModel:
    return MetaModel(result.bundle_path)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("n_features", [1, 2])  # a matrix of one column is in every layout at once
@pytest.mark.parametrize("split", ["holdout", "kfold:3"])
def test_metrics_baselines_and_stacks_are_those_of_the_twin(
    name: str, n_features: int, split: str, tmp_path: Path
) -> None:
    one, other = twins(name, Ridge, tmp_path, table=days(n_features), split=split, unknown="fallback", prune=False)
    pd.testing.assert_frame_equal(one.ledger[FIGURES], other.ledger[FIGURES])
    pd.testing.assert_frame_equal(one.importance, other.importance)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("stack", [True, False])
def test_probabilities_belong_to_the_labels_beside_them(name: str, stack: bool, tmp_path: Path) -> None:
    one, other = twins(name, LogisticRegression, tmp_path, target="bright", stack=stack)
    pd.testing.assert_frame_equal(one.ledger[LABELLED], other.ledger[LABELLED])
    answers = [model.predict(days(), {"predict_method": "predict_proba"}) for model in map(model_of, (one, other))]
    pd.testing.assert_frame_equal(*answers)
    assert ((answers[0]["probability_dull"] > 0.5) == (answers[0]["prediction"] == "dull")).all()


@pytest.mark.parametrize("name", PAIRS)
def test_a_bad_row_moves_no_good_one(name: str, tmp_path: Path) -> None:
    table = days()
    model = model_of(trained(pair(name, Ridge)[0], tmp_path / "bundle", table=table, stack=False))
    bad = table.assign(temperature=table["temperature"].mask(table.index.isin([5, 70, 71])))
    clean, answers = model.predict(table), model.predict(bad)
    good = answers["status"] == "child"
    assert (~good).sum() == 3
    np.testing.assert_allclose(answers["prediction"][good], clean["prediction"][good], rtol=1e-12)


def test_the_same_parameters_are_found(tmp_path: Path) -> None:
    space = {"Pipeline": {"ridge__alpha": [0.01, 1.0, 10.0, 100.0]}}
    one, other = twins("standardized", lambda: Ridge(alpha=1000.0), tmp_path, tune=space, trials=6)
    scores = ["validation_score", "untuned_score", "train_score", "params", "gain"]
    pd.testing.assert_frame_equal(one.tuning[scores], other.tuning[scores])


def test_importance_by_permutation_is_that_of_the_twin(tmp_path: Path) -> None:
    one, other = twins("standardized", Ridge, tmp_path)
    pd.testing.assert_frame_equal(
        permute_worst(model_of(one).bundle, days()), permute_worst(model_of(other).bundle, days())
    )
