"""What is told apart: Python's and packages' modules, wherever pip has put them, and the caller's own."""

import importlib
from pathlib import Path

import pytest
from installed_aside import install_aside

from metamodel.fitting.installed_modules import is_installed

pytestmark = pytest.mark.tableless


def test_a_package_that_pip_installed_elsewhere_is_installed_and_a_file_beside_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "vendored"
    install_aside(folder, "aside_models", "1.5", "SHARE = 0.5\n")
    (folder / "beside_models.py").write_text("SHARE = 0.5\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    for name in ("aside_models", "beside_models"):
        importlib.import_module(name)
    assert is_installed("aside_models")
    assert not is_installed("beside_models")


def test_a_project_with_its_own_egg_info_is_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project_models.py").write_text("SHARE = 0.5\n", encoding="utf-8")
    described = tmp_path / "project_models.egg-info"
    described.mkdir()
    (described / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: project-models\nVersion: 1\n", encoding="utf-8")
    (described / "SOURCES.txt").write_text("project_models.py\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("project_models")
    assert not is_installed("project_models")
