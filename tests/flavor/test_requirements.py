"""The packages that a logged model asks for."""

import importlib.metadata
from types import SimpleNamespace

import pytest

from metamodel.flavor.requirements import requirements

pytestmark = pytest.mark.tableless


def _manifest(*modules: str, codec: str = "cloudpickle", stacks: tuple = ()) -> SimpleNamespace:
    candidates = {f"candidate {i}": {"packages": [module]} for i, module in enumerate(modules)}
    return SimpleNamespace(options={"candidates": candidates}, codec=codec, stacks=stacks)


def test_every_package_is_pinned_to_the_version_of_here() -> None:
    found = dict(line.split("==") for line in requirements(_manifest("sklearn", codec="skops")))
    assert {"mlflow", "scikit-learn", "pandas", "skops"} <= set(found)
    assert found == {package: importlib.metadata.version(package) for package in found}


def test_a_module_is_named_by_the_package_that_brings_it_and_one_of_nobody_is_left_out() -> None:
    without = requirements(_manifest("sklearn"))
    assert requirements(_manifest("sklearn", "metamodel", "a_file_beside_the_notebook")) == without
    assert set(requirements(_manifest("sklearn", "yaml"))) - set(without) == {
        f"PyYAML=={importlib.metadata.version('PyYAML')}"
    }


def test_the_installed_packages_are_looked_through_once_for_the_same_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    first = requirements(_manifest("sklearn", "scipy"))

    def looked_again() -> None:
        raise AssertionError

    monkeypatch.setattr(importlib.metadata, "packages_distributions", looked_again)
    assert requirements(_manifest("scipy", "sklearn")) == first
