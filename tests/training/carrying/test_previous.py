"""The version before: what its columns were, and whether a training may go on from its children."""

import re
from pathlib import Path
from typing import Any

import checked_tables
import pytest
from checked_tables import clean
from warm_starts import FOREST, fit, grown, table

from metamodel.bundle.model import MetaModel
from metamodel.exceptions import InputError
from metamodel.training.train import train


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "warm_start=True goes on from an earlier version, but there is none. Give previous too."),
        ({"previous": 1, "estimator": "ridge"}, "no candidate can go on from an earlier fit .Ridge has neither"),
        ({"previous": 1, "group_by": ["shop", "x"]}, r"groups are others: shop \(string\), and now shop .*, x"),
    ],
)
def test_what_cannot_be_is_one_clear_line(options: dict[str, Any], message: str) -> None:
    if "previous" in options:
        options = {**options, "previous": fit(table()).bundle_path}
    arguments = {"group_by": "shop", "target": "y", "estimator": FOREST, "n_jobs": 1, **options}
    with pytest.raises(InputError, match=message):
        train(grown().round({"x": 0}).astype({"x": int}), warm_start=True, **arguments)


@pytest.mark.parametrize("opened", [False, True])
def test_the_difference_to_the_previous_version_is_printed(tmp_path: Path, opened: bool) -> None:
    before = checked_tables.fit(clean(), output_dir=tmp_path / "before").bundle_path
    previous = MetaModel(before) if opened else before
    assert checked_tables.fit(clean(), previous=previous).findings == ()
    with pytest.raises(InputError, match="changed 'z': number → string; missing 'x': number; new 'w': number"):
        checked_tables.fit(clean().rename(columns={"x": "w"}).assign(z="text"), previous=previous, strict=True)


def test_a_uri_needs_the_edge() -> None:
    message = "previous='models:/sales@champion' is an MLflow URI. Give metamodel.load_model('models:/sales@champion')."
    with pytest.raises(InputError, match=re.escape(message)):
        checked_tables.fit(clean(), previous="models:/sales@champion")
