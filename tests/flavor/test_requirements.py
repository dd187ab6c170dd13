"""The packages that a logged model asks for."""

import configparser
import importlib.metadata
import re
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from places import ROOT

from metamodel.flavor import requirements as required
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


@pytest.fixture
def looked_through(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is looked through from now on, by a process that has not done so yet."""
    looked: list[str] = []
    installed = importlib.metadata.packages_distributions

    def look() -> Mapping[str, list[str]]:
        looked.append("all")
        return installed()

    monkeypatch.setattr(importlib.metadata, "packages_distributions", look)
    monkeypatch.setattr(required, "_modules", {})
    required._distributions.cache_clear()
    return looked


def test_the_installed_packages_are_looked_through_once_for_all_modules(looked_through: list[str]) -> None:
    first = requirements(_manifest("sklearn", "scipy"))
    assert requirements(_manifest("scipy", "sklearn")) == first
    assert set(requirements(_manifest("yaml", "scipy"))) - set(first) == {
        f"PyYAML=={importlib.metadata.version('PyYAML')}"
    }
    assert looked_through == ["all"]


def test_a_module_that_was_installed_since_is_required_and_those_of_nobody_are_looked_for_once(
    looked_through: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ("a_file_beside_the_notebook", "another", "__main__")
    without = requirements(_manifest("sklearn", *own))
    assert requirements(_manifest(*own)) == without
    assert looked_through == ["all"]
    monkeypatch.setattr(required, "_modules", {"sklearn": ["scikit-learn"]})  # as before scipy was installed
    found = requirements(_manifest("scipy", *own))
    assert set(found) - set(without) == {f"scipy=={importlib.metadata.version('scipy')}"}
    assert looked_through == ["all", "all"]


def test_for_scikit_learn_alone_the_installed_packages_are_not_looked_through(looked_through: list[str]) -> None:
    alone = requirements(_manifest("sklearn"))
    assert looked_through == []
    expected = requirements(_manifest("sklearn", "scipy"))
    assert alone == [line for line in expected if not line.startswith("scipy==")]


def _lower_bounds(lines: list[str]) -> dict[str, str]:
    """Package → lowest version, of lines as in a requirements file."""
    plain = [line.partition("#")[0].strip() for line in lines]
    parsed = [Requirement(line) for line in plain if line]
    return {one.name: specifier.version for one in parsed for specifier in one.specifier if specifier.operator == ">="}


@pytest.fixture(scope="module")
def bounds() -> dict[str, str]:
    """Lower bounds of setup.cfg, the extras' among them."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].splitlines()
    extras = [line for extra in setup["options.extras_require"].values() for line in extra.splitlines()]
    return {**_lower_bounds(extras), **_lower_bounds(lines)}


def test_the_environment_of_mlflow_run_has_the_bounds_of_the_package(bounds: dict[str, str]) -> None:
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text(encoding="utf-8"))
    (lines,) = (part["pip"] for part in conda["dependencies"] if isinstance(part, dict))
    found = _lower_bounds(lines)
    assert found == {package: bounds[package] for package in found}
    assert {"mlflow", "skops", "urllib3", "pandas"} <= set(found)


def test_a_logged_model_asks_for_nothing_below_the_bounds(bounds: dict[str, str]) -> None:
    pinned = dict(line.split("==") for line in requirements(_manifest("sklearn", codec="skops")))
    assert {"mlflow", "skops", "urllib3"} <= set(pinned)
    below = [name for name in pinned if name in bounds and Version(pinned[name]) < Version(bounds[name])]
    assert below == []


def test_the_bounds_leave_out_versions_that_answer_wrongly_or_are_not_safe(bounds: dict[str, str]) -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8").partition("## Holes of what we stand on")[2]
    least = dict(re.findall(r"^\| ([\w-]+) \| (\d[\d.]*) \|", page, re.MULTILINE))
    assert {"mlflow", "skops", "urllib3", "filelock", "requests", "orjson", "starlette"} <= set(least)
    assert {name: bounds[name] for name in least if Version(bounds[name]) < Version(least[name])} == {}
