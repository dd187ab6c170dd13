"""The tree of errors: complete, documented as it is, and able to cross a process border."""

import pickle
import re

import pytest

from metamodel import exceptions
from metamodel.exceptions import MetaModelError

pytestmark = pytest.mark.tableless

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__]


def drawn_tree() -> dict[str, str]:
    """Child → parent, as the module's docstring draws it."""
    parents: dict[str, str] = {}
    ancestors: list[str] = []
    for line in exceptions.__doc__.splitlines():
        found = re.match(r"    ([│ ]*)(?:[├└]── )?([A-Z]\w+)(?:  |$)", line)
        if not found:
            continue
        depth = 0 if found[2] == "MetaModelError" else len(found[1]) // 4 + 1
        ancestors[depth:] = [found[2]]
        if depth:
            parents[found[2]] = ancestors[depth - 1]
    return parents


def test_the_drawn_tree_is_the_real_one():
    real = {
        cls.__name__: next(base.__name__ for base in cls.__bases__ if issubclass(base, MetaModelError))
        for cls in CLASSES
        if cls is not MetaModelError
    }
    assert drawn_tree() == real


def test_every_class_of_the_module_is_exported():
    defined = {
        name for name, value in vars(exceptions).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == set(exceptions.__all__)


def test_the_list_of_names_is_sorted():
    assert exceptions.__all__ == sorted(exceptions.__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_pickling_with_message_and_note(cls):
    error = cls("No child model for group ('FR', 7).")
    error.add_note("while scoring part 3")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, copy.__notes__) == (cls, error.args, ["while scoring part 3"])


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_can_be_caught_as_one(cls):
    assert issubclass(cls, MetaModelError)


@pytest.mark.parametrize(
    ("name", "builtin"), [("InputError", ValueError), ("InvalidKey", ValueError), ("UnknownGroup", LookupError)]
)
def test_errors_that_have_a_builtin_counterpart_derive_from_it(name, builtin):
    assert issubclass(getattr(exceptions, name), builtin)
