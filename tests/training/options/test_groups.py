"""The options of training: declared once, and what is made of the declarations is true."""

import inspect
import re
from typing import get_args

import pytest

import metamodel
from metamodel import InputError
from metamodel.common.option import declared
from metamodel.datasets import make_store_sales
from metamodel.training.options import OPTION_GROUPS, Inputs, TrainingOptions
from metamodel.training.train import train

OPTIONS = [one for group in OPTION_GROUPS for one in group.options]


def sales():
    return make_store_sales(n_stores=2, n_products=1, n_weeks=20, broken=False)


def trained(**options):
    keys = {"features": ["price", "promotion"], "time_column": "week", "n_jobs": 1}
    return train(sales(), ["store", "product"], "units", **keys | options)


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
    groups = (*TrainingOptions.__mro__[1:-1], *Inputs.__mro__[1:-1])
    hints = {name: hint for group in groups for name, hint in group.__annotations__.items()}
    assert one.choices == get_args(hints[one.name])
    assert one.default in one.choices


@pytest.mark.parametrize("one", OPTIONS, ids=lambda one: one.name)
def test_a_default_is_a_value_that_the_option_takes(one):
    assert one.required or one.complaint(one.default) == ""


def test_a_word_for_a_switch_is_refused():
    with pytest.raises(InputError, match="strict='false' is neither true nor false"):
        trained(strict="false")
