"""What an estimator is, in full: the same in every process, another one when the caller's own code is edited."""

import functools
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from places import ROOT
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

from metamodel.fitting.content import content


def defined(source, name="Child"):
    """What a notebook's cell defines; every cell is `__main__`."""
    namespace = {"__name__": "__main__", "np": np}
    exec(textwrap.dedent(source), namespace)
    return namespace[name]


CELL = """
from sklearn.base import BaseEstimator, RegressorMixin

LIMIT = 3.0

def scaled(x):
    return inner(x) * LIMIT

def inner(x):
    return x + 1

class Base(RegressorMixin, BaseEstimator):
    share = 0.5

    @staticmethod
    def rule(x):
        return [value for value in x if value in {"a", "b"}]

    @property
    def twice(self):
        return 2 * self.power

class Child(Base):
    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y):
        self.mean_ = scaled(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)
"""


def test_a_class_that_is_run_again_unchanged_is_the_same():
    assert content(defined(CELL)()) == content(defined(CELL)())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.full(len(X), self.mean_)", "np.full(len(X), -self.mean_)"),  # a method
        ("share = 0.5", "share = 0.25"),  # an attribute of a base
        ("LIMIT = 3.0", "LIMIT = 4.0"),  # a constant that a called function names
        ("return x + 1", "return x + 2"),  # a function that a called function calls
        ('{"a", "b"}', '{"a", "c"}'),  # a static method of a base
        ("2 * self.power", "3 * self.power"),  # a property of a base
        ("class Child(Base)", "class Child(RegressorMixin, BaseEstimator)"),  # the bases
    ],
)
def test_whatever_of_it_is_edited_makes_another_one(old, new):
    assert old in CELL
    assert content(defined(CELL)()) != content(defined(CELL.replace(old, new))())


def test_parameters_count_beside_the_code():
    child = defined(CELL)
    assert content(child(1)) != content(child(2))


def test_what_a_module_of_the_callers_own_defines_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    cell = "import steps_of_mine\n\ndef Child(x):\n    return steps_of_mine.scale(x)\n"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # both modules are written within one second
    described = []
    for factor in (2, 3):
        (tmp_path / "steps_of_mine.py").write_text(f"def scale(x):\n    return x * {factor}\n")
        monkeypatch.delitem(sys.modules, "steps_of_mine", raising=False)
        described.append(content(FunctionTransformer(defined(cell))))
    assert described[0] != described[1]


def test_installed_classes_go_by_their_name_and_parameters():
    assert content(Ridge(2.0))[0] == "sklearn.linear_model._ridge.Ridge"
    assert "'alpha'" in content(Ridge(2.0))[1]


def test_functions_that_call_each_other_come_to_an_end():
    cell = "def Child(x):\n    return other(x)\n\ndef other(x):\n    return Child(x)\n"
    assert content(defined(cell)) == content(defined(cell))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (functools.partial(np.clip, a_min=0), functools.partial(np.clip, a_min=1)),
        ({"a", "b"}, {"a", "c"}),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (b"a", b"b"),
        (np.float32(1), np.float32(2)),
    ],
)
def test_parameters_of_any_kind_are_told_apart(one, other):
    assert content(one) == content(one)
    assert content(one) != content(other)


@pytest.mark.slow
def test_it_is_the_same_in_every_process_and_can_be_written_as_json():
    program = textwrap.dedent(
        """
        import functools, json, re, sys
        sys.path.insert(0, "tests/support")
        from tests.fitting import test_content as t
        values = [t.defined(t.CELL)(), functools.partial(t.np.clip, a_min=0), {"b", "a"}, re.compile("a+")]
        print(json.dumps([t.content(value) for value in values]))
        """
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(json.loads(said[0])) == 4
