"""How a model was trained is kept with it, and given back as it was; what cannot be kept is asked for again."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sklearn.linear_model import Ridge

from metamodel.bundle.carry.recipe import RECIPE_NAME, read_recipe, write_recipe
from metamodel.bundle.manifest import FileEntry
from metamodel.exceptions import CorruptBundle, InputError


def bundle_of(directory: Path, codec: str = "cloudpickle") -> Any:
    """Stand in for an opened bundle of these files."""
    names = [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]
    files = {name: FileEntry.of(directory / name) for name in names}
    return SimpleNamespace(path=directory, manifest=SimpleNamespace(files=files, codec=codec))


@pytest.mark.parametrize("codec", ["cloudpickle", "joblib", "skops"])
def test_values_and_estimator_objects_come_back(tmp_path: Path, codec: str) -> None:
    arguments = {"holdout": 0.2, "features": ["a"], "estimator": Ridge(3.0), "overrides": [{"g": 1, "skip": True}]}
    write_recipe(tmp_path, arguments, codec)
    read = read_recipe(bundle_of(tmp_path, codec), {})
    assert read["estimator"].get_params() == Ridge(3.0).get_params()
    assert {name: value for name, value in read.items() if name != "estimator"} == {
        name: value for name, value in arguments.items() if name != "estimator"
    }


def test_what_is_given_wins(tmp_path: Path) -> None:
    write_recipe(tmp_path, {"estimator": Ridge(), "holdout": 0.2}, "cloudpickle")
    assert read_recipe(bundle_of(tmp_path), {"estimator": "ridge"}) == {"estimator": "ridge", "holdout": 0.2}


def test_what_could_not_be_kept_has_to_be_given_again(tmp_path: Path) -> None:
    write_recipe(tmp_path, {"shrinkage": threading.Lock()}, "cloudpickle")
    with pytest.raises(InputError, match=r"could not keep shrinkage \(TypeError.*\)\. Give it again"):
        read_recipe(bundle_of(tmp_path), {})
    assert read_recipe(bundle_of(tmp_path), {"shrinkage": "equal"}) == {"shrinkage": "equal"}


def test_a_bundle_without_a_recipe_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not say how it was trained. Use metamodel.train with previous"):
        read_recipe(bundle_of(tmp_path), {})


def test_an_object_that_is_not_what_was_written_is_not_opened(tmp_path: Path) -> None:
    write_recipe(tmp_path, {"estimator": Ridge()}, "cloudpickle")
    bundle = bundle_of(tmp_path)
    written = (tmp_path / RECIPE_NAME).read_text()
    (tmp_path / RECIPE_NAME).write_text(written.replace('"estimator": "', '"estimator": "AAAA'))
    with pytest.raises(CorruptBundle, match=r"recipe.json is not what was written"):
        read_recipe(bundle, {})
