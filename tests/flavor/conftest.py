"""A packed model, for the tests of what opens it."""

from pathlib import Path

import pytest
from registered_children import panel

import metamodel
from metamodel.tracking.pack_children import write_zip


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small meta-model in one file."""
    directory = tmp_path_factory.mktemp("packed")
    result = metamodel.train(panel(3), "store", "y", "ridge", n_jobs=1, holdout=0, output_dir=directory / "bundle")
    write_zip(metamodel.MetaModel(result.bundle_path), directory / "model.zip")
    return directory / "model.zip"
