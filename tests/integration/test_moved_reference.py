"""The reference for monitoring goes with a model wherever that goes: logged, packed into one file, updated again."""

import zipfile
from pathlib import Path

import pandas as pd
import pytest
from monitored import changed, monitored, weeks

import metamodel
from metamodel.bundle.monitored.stored_reference import DRIFT_NAME
from metamodel.tracking.pack_children import pack


@pytest.fixture
def logged() -> tuple[str, bytes]:
    """A logged model of twelve shops, and its reference."""
    result = monitored()
    info = metamodel.log_model(result)
    return info.model_uri, (result.bundle_path / DRIFT_NAME).read_bytes()


def test_a_logged_model_and_its_zip_hold_the_reference_byte_for_byte(logged: tuple[str, bytes], tmp_path: Path) -> None:
    uri, written = logged
    pack(uri, zip_file=str(tmp_path / "model.zip"))

    assert (metamodel.load_model(uri).bundle.path / DRIFT_NAME).read_bytes() == written
    with zipfile.ZipFile(tmp_path / "model.zip") as packed:
        (name,) = [name for name in packed.namelist() if name.endswith(DRIFT_NAME)]
        assert packed.read(name) == written


def test_monitoring_a_model_that_moved_finds_what_it_found(logged: tuple[str, bytes], tmp_path: Path) -> None:
    uri, _ = logged
    window = changed("2026-03-02", 4)
    second = metamodel.update(uri, weeks(8, 1, start="2026-01-05"), retrain=["new"], n_jobs=1)

    found = [metamodel.monitor(model, window) for model in (uri, metamodel.MetaModel(second.bundle_path))]

    pd.testing.assert_frame_equal(*(one.groups.drop(columns=["version"], errors="ignore") for one in found))
    assert set(found[0].groups["status"]) >= {"performance", "ok"}
