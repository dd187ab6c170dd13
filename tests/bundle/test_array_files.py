"""Arrays of a bundle are mapped as they were written, or refused; no damage ends the process."""

import os
from pathlib import Path

import numpy as np
import pytest
from bundles import flip
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from metamodel.bundle.array_files import Section, map_array, read_section, write_sections
from metamodel.bundle.manifest import FileEntry
from metamodel.exceptions import CorruptBundle

pytestmark = pytest.mark.tableless


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, FileEntry]:
    path = tmp_path / "values.npy"
    np.save(path, np.arange(1000.0))
    return path, FileEntry.of(path)


@given(
    arrays.arrays(
        st.sampled_from(["f8", "f4", "u8", "i4", "S12", "?"]), arrays.array_shapes(min_side=0, max_dims=3, max_side=4)
    ),
    st.sampled_from("CF"),
    st.booleans(),
)
def test_what_was_written_is_mapped_whatever_its_shape_kind_and_order(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, order: str, proven: bool
) -> None:
    path = tmp_path_factory.mktemp("array") / "values.npy"
    np.save(path, np.asarray(values, order=order))
    mapped = map_array(path, FileEntry.of(path), proven=proven)
    assert mapped.dtype == values.dtype
    np.testing.assert_array_equal(mapped, values)


def test_a_mapped_array_cannot_be_changed(written: tuple[Path, FileEntry]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        map_array(*written)[0] = 7


def test_a_file_that_changed_its_bytes_is_refused_where_they_are_proven(written: tuple[Path, FileEntry]) -> None:
    path, entry = written
    flip(path, -1)
    with pytest.raises(CorruptBundle, match=r"values\.npy is not what was written\. Restore the bundle"):
        map_array(path, entry)
    assert map_array(path, entry, proven=False)[:999].tolist() == list(range(999))


@pytest.mark.parametrize("size", [0, 10, 200, 7999])
def test_a_file_of_another_size_is_never_mapped(written: tuple[Path, FileEntry], size: int) -> None:
    path, entry = written
    os.truncate(path, size)
    with pytest.raises(CorruptBundle, match="it has another size"):
        map_array(path, entry, proven=False)


def test_a_file_that_the_manifest_does_not_know_is_refused(written: tuple[Path, FileEntry]) -> None:
    with pytest.raises(CorruptBundle, match="is not what was written"):
        map_array(written[0], None)


def test_a_missing_file_is_refused(written: tuple[Path, FileEntry]) -> None:
    path, entry = written
    path.unlink()
    with pytest.raises(CorruptBundle, match=r"values\.npy cannot be read .*No such file"):
        map_array(path, entry)


@given(position=st.integers(0, 127), bits=st.integers(1, 255))
def test_a_damaged_header_is_refused_or_gives_an_array_and_never_another_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, bits: int
) -> None:
    path = tmp_path_factory.mktemp("array") / "values.npy"
    np.save(path, np.arange(10.0))
    entry = FileEntry.of(path)
    flip(path, position, bits)
    try:
        mapped = map_array(path, entry, proven=False)
    except CorruptBundle as error:
        outcome = str(error)
    else:
        outcome = "" if mapped.nbytes <= entry.size else "more than there is"
    assert outcome == "" or "Restore the bundle" in outcome


# -------- several in one file
_VALUES = {
    "a": np.arange(100.0),
    "b": np.asarray(np.arange(12, dtype="i4").reshape(3, 4), order="F"),
    "c": np.array([b"x"]),
}


@pytest.fixture
def several(tmp_path: Path) -> tuple[Path, dict[str, Section]]:
    path = tmp_path / "several.arrays"
    return path, write_sections(path, {"a": _VALUES["a"], "b": _VALUES["b"]}, {"c": _VALUES["c"], "text": b"words"})


def test_each_array_of_a_file_is_mapped_aligned_and_as_it_was_written(several: tuple[Path, dict[str, Section]]) -> None:
    path, sections = several
    entry = FileEntry.of(path)
    for name, values in _VALUES.items():
        mapped = map_array(path, entry, sections[name])
        np.testing.assert_array_equal(mapped, values)
        assert (mapped.dtype, mapped.flags.f_contiguous) == (values.dtype, values.flags.f_contiguous)
        assert mapped.ctypes.data % 64 == 0
    assert read_section(path, entry, sections["text"]) == b"words"


@pytest.mark.parametrize("name", ["c", "text"])
def test_damage_to_a_part_with_a_digest_refuses_that_part_alone(
    several: tuple[Path, dict[str, Section]], name: str
) -> None:
    path, sections = several
    entry = FileEntry.of(path)
    flip(path, sections[name].offset + sections[name].size - 1)
    with pytest.raises(CorruptBundle, match=r"several\.arrays is not what was written\. Restore the bundle"):
        read_section(path, entry, sections[name])
    assert map_array(path, entry, sections["a"]).tolist() == _VALUES["a"].tolist()


def test_an_array_that_would_reach_into_the_next_is_refused(several: tuple[Path, dict[str, Section]]) -> None:
    path, sections = several
    content = path.read_bytes().replace(b"'shape': (100,)", b"'shape': (105,)", 1)
    path.write_bytes(content)
    with pytest.raises(CorruptBundle, match="an array reaches into the next"):
        map_array(path, FileEntry.of(path), sections["a"])


@pytest.mark.parametrize("section", [Section(-1, 10), Section(10**9, 10), Section(1, 10), Section(0, 10, "0" * 64)])
def test_a_place_where_no_array_is_is_refused(several: tuple[Path, dict[str, Section]], section: Section) -> None:
    path, _ = several
    with pytest.raises(CorruptBundle, match="Restore the bundle"):
        map_array(path, FileEntry.of(path), section)
