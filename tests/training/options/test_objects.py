"""An object in place of an option's value stands for the flat options that it holds."""

from dataclasses import FrozenInstanceError

import pytest

from metamodel import Holdout, InputError, KFold, Rolling, Shrinkage, Tuning
from metamodel.datasets import make_store_sales
from metamodel.training.options.objects import flat_options
from metamodel.training.train import train


def sales():
    return make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)


def trained(**options):
    keys = {"features": ["price", "promotion"], "time_column": "week", "n_jobs": 1}
    return train(sales(), ["store", "product"], "units", **keys | options)


@pytest.mark.parametrize(
    ("given", "flat"),
    [
        (
            {"tune": Tuning("space.yaml", trials=50)},
            {"tune": "space.yaml", "trials": 50, "patience": 10, "tune_seconds": None, "budget_seconds": None},
        ),
        (
            {"tune": Tuning(patience=0, budget_seconds=60)},
            {"tune": True, "trials": 30, "patience": 0, "tune_seconds": None, "budget_seconds": 60},
        ),
        (
            {"shrinkage": Shrinkage("constant", alpha=0.3)},
            {"shrinkage": "constant", "shrinkage_params": {"alpha": 0.3}},
        ),
        ({"split": Rolling(folds=3, horizon=4)}, {"split": "rolling:folds=3,horizon=4,step=4"}),
        ({"split": Rolling(3, 4, step=2)}, {"split": "rolling:folds=3,horizon=4,step=2"}),
        ({"split": KFold(4)}, {"split": "kfold:4"}),
        ({"split": Holdout(0.3)}, {"split": "holdout", "holdout": 0.3}),
        ({"split": "kfold:3", "holdout": 0.1, "trials": 5}, {"split": "kfold:3", "holdout": 0.1, "trials": 5}),
    ],
    ids=repr,
)
def test_an_object_stands_for_the_flat_options_that_it_holds(given, flat):
    assert flat_options(given) == flat


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tune": Tuning(), "trials": 30}, r"trials=30 was given beside tune=Tuning\(.*Give it in Tuning\(\.\.\.\)"),
        ({"tune_seconds": 5, "tune": Tuning()}, "tune_seconds=5 was given beside tune="),
        (
            {"shrinkage": Shrinkage("equal"), "shrinkage_params": None},
            "shrinkage_params=None was given beside shrinkage=Shrinkage",
        ),
        ({"split": Holdout(0.3), "holdout": 0.2}, r"holdout=0.2 was given beside split=Holdout\(share=0.3\)"),
        ({"split": KFold(), "holdout": 0.2}, "holdout=0.2 was given beside split=KFold"),
        ({"split": Rolling(2, 3), "holdout": 0.2}, "holdout=0.2 was given beside split=Rolling"),
    ],
    ids=repr,
)
def test_a_suboption_beside_the_object_that_holds_it_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        trained(**given)


def test_an_object_is_a_value():
    assert Tuning("auto", trials=5) == Tuning("auto", trials=5)
    assert Rolling(3, 4) != Rolling(3, 5)
    assert Shrinkage("constant", alpha=0.3) == Shrinkage("constant", {"alpha": 0.3})
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        Tuning().trials = 3


def test_objects_train_what_their_flat_options_train():
    objects = trained(shrinkage=Shrinkage("constant", alpha=0.3), split=Rolling(folds=2, horizon=3))
    flat = trained(shrinkage="constant", shrinkage_params={"alpha": 0.3}, split="rolling:folds=2,horizon=3")

    assert objects.manifest.spec_digest == trained(split="rolling:folds=2,horizon=3,step=3").manifest.spec_digest
    columns = ["sha256", "fingerprint", "weights", "blended_rmse", "folds"]
    assert objects.ledger[columns].equals(flat.ledger[columns])
