"""How a log names a model that nobody named."""

from pathlib import Path

from serving import sales

import metamodel
from metamodel.flavor.load import load_model
from metamodel.flavor.model_identity import model_identity


def test_a_version_is_named_by_its_number_and_a_bundle_by_its_folder_and_digest(tmp_path: Path) -> None:
    options = {"holdout": 0, "n_jobs": 1, "output_dir": tmp_path / "mine"}
    result = metamodel.train(sales(), ["country", "store"], "sales", "ridge", **options)
    opened = metamodel.MetaModel(result.bundle_path)
    assert model_identity(opened, "sales/8") == ("sales", "8")
    assert model_identity(opened) == ("mine", opened.digest[:12])
    info = metamodel.log_model(result, report=False)
    logged = load_model(info.model_uri)
    assert model_identity(logged) == (info.model_id, opened.digest[:12])
