"""Examples are looked for in every file that has some, and in no other."""

from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule
from places import ROOT

pytestmark = pytest.mark.tableless

WITH, WITHOUT = '"""Twice.\n\n>>> 2 * 2\n4\n"""', '"""Twice."""'


@pytest.mark.parametrize("name", ["one.py", "test_one.py"])
@pytest.mark.parametrize("text", [WITH, WITHOUT], ids=["with", "without"])
def test_files_without_an_example_are_not_imported_for_one(
    text: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / name
    path.write_text(text)
    collectors = request.session.ihook.pytest_collect_file(file_path=path, parent=request.session)
    expected = {pytest.Module} if name.startswith("test_") else set()
    assert {type(one) for one in collectors} == expected | ({DoctestModule} if text == WITH else set())


def test_every_file_of_the_package_with_an_example_is_looked_through(request: pytest.FixtureRequest) -> None:
    files = sorted((ROOT / "metamodel").rglob("*.py"))
    collect = request.session.ihook.pytest_collect_file
    looked_through = [path for path in files if collect(file_path=path, parent=request.session)]
    assert looked_through == [path for path in files if ">>> " in path.read_text(encoding="utf-8")]
    assert len(files) > len(looked_through) > 0
