"""Children elsewhere are brought into the bundle."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import metamodel
from metamodel.bundle.group_values import write_group_values
from metamodel.bundle.reader import Bundle
from metamodel.bundle.writer import finish_bundle
from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.tables.keys import encode_key
from metamodel.tracking.pack_children import pack_children


def test_packing_keeps_the_figures_of_groups(referring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, ledger = Bundle(referring), Bundle(referring).ledger
    values = write_group_values(referring, pd.DataFrame({"radius": [2.5]}, index=[encode_key((1,))]))
    (referring / "manifest.json").unlink()
    finish_bundle(referring, replace(bundle.manifest, group_values=values), ledger)
    monkeypatch.setattr(
        "metamodel.tracking.pack_children._fetched", lambda references, loader: iter(())
    )  # the child is gone
    packed = metamodel.MetaModel(pack_children(metamodel.load_model(referring), tmp_path / "packed"))
    assert packed.bundle.damaged_files() == []
    assert packed.radius((1,)) == 2.5


def test_only_a_referring_model_can_be_packed(tmp_path: Path) -> None:
    frame = pd.DataFrame({"store": [1, 1, 1], "x": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]})
    result = metamodel.train(frame, "store", "y", n_jobs=1, holdout=0)
    with pytest.raises(InputError, match="refers to no child elsewhere"):
        pack_children(metamodel.load_model(result.bundle_path), tmp_path / "packed")


def test_nothing_half_packed_stays_behind(referring: Path, tmp_path: Path) -> None:
    with pytest.raises(ChildUnavailable, match="cannot be loaded"):
        pack_children(metamodel.load_model(referring), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
