"""A few numbers for each group, found by its key and proven before they are used."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stacked import write_over

from metamodel.bundle.group_values import GroupValues, write_group_values
from metamodel.bundle.manifest import FileEntry
from metamodel.exceptions import CorruptBundle, InvalidKey
from metamodel.tables.keys import encode_key

_KEYS = [("FR", 7), ("FR",), (), ("DE", 7)]


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, dict]:
    figures = pd.DataFrame(
        {"radius": [1.0, 2.0, 3.0, np.nan], "weight": [0.1, 0.2, 0.3, 0.4]}, index=[encode_key(key) for key in _KEYS]
    )
    return tmp_path, write_group_values(tmp_path, figures)


def _opened(directory: Path, described: dict) -> GroupValues:
    files = {
        f"group_values/{name}.npy": FileEntry.of(directory / f"group_values/{name}.npy") for name in ("index", "values")
    }
    return GroupValues(directory, described, files)


def test_groups_of_every_level_are_found_and_others_have_no_figure(written):
    found = _opened(*written).of([(), ("DE", 7), ("FR", 7), ("FR", 8), InvalidKey("none")], ["weight", "radius"])
    expected = [[0.3, 3.0], [0.4, np.nan], [0.1, 1.0], [np.nan, np.nan], [np.nan, np.nan]]
    np.testing.assert_array_equal(found, expected)


def test_the_manifest_says_what_the_columns_are(written):
    assert written[1] == {"columns": ["radius", "weight"], "groups": 4}


@pytest.mark.parametrize("name", ["index", "values"])
def test_a_damaged_file_gives_no_number(written, name):
    directory, described = written
    figures = _opened(directory, described)
    path = directory / f"group_values/{name}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptBundle, match=rf"{name}\.npy is not what was written"):
        figures.of([()], ["radius"])


def test_a_missing_file_gives_no_number(written):
    directory, described = written
    figures = _opened(directory, described)
    (directory / "group_values/values.npy").unlink()
    with pytest.raises(CorruptBundle, match=r"values\.npy cannot be read .*No such file"):
        figures.of([()], ["radius"])


@pytest.mark.parametrize("name", ["index", "values"])
def test_numbers_that_somebody_writes_over_are_not_used(written, name):
    directory, described = written
    figures = _opened(directory, described)
    figures.of([()], ["radius"])
    path = directory / f"group_values/{name}.npy"
    write_over(path)
    with pytest.raises(CorruptBundle, match="group_values was changed after it was opened"):
        figures.of([()], ["radius"])
    with pytest.raises(CorruptBundle, match="group_values was changed after it was opened"):
        figures.has([()])
