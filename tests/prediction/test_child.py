"""Classifiers that were fitted on a single class answer for it, and for no other."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import metamodel
from metamodel.bundle.model import MetaModel
from metamodel.prediction.child import with_feature_names
from metamodel.prediction.stacks.trees import NO_KERNEL


@pytest.mark.parametrize("split", ["holdout", "kfold:3"])
def test_a_histogram_booster_of_one_class_is_judged_and_answers(split: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"shop": np.repeat(["plain", "mixed"], 40), "x": rng.normal(size=80)})
    table["label"] = np.where((table["shop"] == "plain") | (table["x"] > 0), "yes", "no")
    result = metamodel.train(
        table, "shop", "label", "hist_gradient_boosting", split=split, output_dir=tmp_path / "bundle", n_jobs=1
    )
    plain = result.ledger.set_index("shop").loc["plain"]
    assert (plain["status"], plain["reason"], plain["holdout_accuracy"]) == ("fitted", "single_class: 'yes'", 1.0)
    assert plain["stack"] in ("a single class", NO_KERNEL)
    rows = table[table["shop"] == "plain"].head(3)
    answers = MetaModel(result.bundle_path).predict(rows, {"predict_method": "predict_proba"})
    assert answers["status"].tolist() == ["child"] * 3
    assert answers["probability_yes"].tolist() == pytest.approx([1.0] * 3)
    assert answers["probability_no"].tolist() == [0.0] * 3


NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [1.0, 0.0, 1.0, 0.0]})


Y = np.array([0.0, 1.0, 2.0, 3.0])


def test_an_estimator_whose_names_cannot_be_set_is_left_as_it_is():
    class Sealed(Ridge):
        @property
        def feature_names_in_(self):
            raise AttributeError("only known after a fit on a frame")

    child = Sealed().fit(NUMBERS.to_numpy(), Y)
    assert with_feature_names(child, list(NUMBERS)) is child
    assert not hasattr(child, "feature_names_in_")
