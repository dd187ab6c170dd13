"""The options of training: declared once, and what is made of the declarations is true."""

import inspect
import re
from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

import metamodel
from metamodel import Holdout, InputError, KFold, Rolling, Shrinkage, Tuning
from metamodel.common.option import declared
from metamodel.datasets import make_store_sales
from metamodel.training.options import OPTION_GROUPS, Inputs, TrainingOptions
from metamodel.training.options.objects import flat_options
from metamodel.training.train import train

OPTIONS = [one for group in OPTION_GROUPS for one in group.options]


def sales():
    return make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)


def trained(**options):
    keys = {"features": ["price", "promotion"], "time_column": "week", "n_jobs": 1}
    return train(sales(), ["store", "product"], "units", **keys | options)


# Declared once


def test_the_signature_of_train_has_every_option_with_its_declared_default():
    signature = {name: one.default for name, one in inspect.signature(metamodel.train).parameters.items()}
    required = {one.name for one in OPTIONS if one.required}

    assert {name for name, default in signature.items() if default is inspect.Parameter.empty} == required
    assert {name: default for name, default in signature.items() if name not in required} == {
        one.name: one.default for one in OPTIONS if not one.required
    }


def test_every_option_belongs_to_one_group():
    names = [one.name for one in OPTIONS]
    both = {one.name for group in (TrainingOptions, Inputs) for one in declared(group)}
    assert sorted(names) == sorted(both)


def test_train_documents_every_parameter_in_the_order_of_its_signature():
    section = re.search(r"Parameters\n-+\n(.*?)\nReturns\n", inspect.getdoc(metamodel.train), re.DOTALL)[1]
    documented = [name for line in re.findall(r"^\w.*$", section, re.MULTILINE) for name in line.split(", ")]
    assert documented == list(inspect.signature(metamodel.train).parameters)


def test_train_takes_no_keyword_that_nobody_declared():
    # Notebooks complete names from the signature.
    assert all(one.kind is not one.VAR_KEYWORD for one in inspect.signature(metamodel.train).parameters.values())
    with pytest.raises(TypeError, match="unexpected keyword argument 'trails'"):
        trained(trails=5)


@pytest.mark.parametrize("one", [one for one in OPTIONS if one.choices], ids=lambda one: one.name)
def test_the_words_of_a_choice_are_those_of_its_type(one):
    hints = {name: hint for group in TrainingOptions.__mro__[1:-1] for name, hint in group.__annotations__.items()}
    assert one.choices == get_args(hints[one.name])
    assert one.default in one.choices


@pytest.mark.parametrize("one", OPTIONS, ids=lambda one: one.name)
def test_a_default_is_a_value_that_the_option_takes(one):
    assert one.required or one.complaint(one.default) == ""


# An object in place of the option's value


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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tuning(trials=0), "trials=0 is no number of trials. Use a whole number of at least 1"),
        (lambda: Tuning(tune_seconds=-1), "tune_seconds=-1 is no time limit. Use a number of seconds above 0"),
        (lambda: Holdout(1), "holdout=1 is no share of the rows"),
        (lambda: KFold(1), "split='kfold:1' has fewer than 2 folds"),
        (lambda: KFold("5"), r"folds='5' is no whole number of at least 1. Correct KFold\(folds='5'\)"),
        (lambda: Rolling(3, 0), "horizon=0 is no whole number of at least 1"),
        (lambda: Rolling(3, 4, step=0), "step=0 is no whole number of at least 1"),
        (lambda: Shrinkage("constant"), "shrinkage='constant' takes exactly the argument alpha, not {}"),
        (lambda: Shrinkage("constant", alpha=2), "alpha=2 is no share"),
        (lambda: Shrinkage("strongly"), "shrinkage='strongly' is unknown. Use one of: constant"),
    ],
)
def test_an_object_is_checked_when_it_is_made(make, message):
    with pytest.raises(InputError, match=message):
        make()


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


def test_a_word_for_a_switch_is_refused():
    with pytest.raises(InputError, match="strict='false' is neither true nor false"):
        trained(strict="false")
