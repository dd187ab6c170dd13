"""The code and the packages that go with a logged model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metamodel.exceptions import InputError
from metamodel.flavor.environment import Environment
from metamodel.flavor.requirements import requirements

pytestmark = pytest.mark.tableless

MANIFEST: Any = SimpleNamespace(options={"candidates": {}}, codec="cloudpickle", stacks=())


def test_extra_requirements_stand_beside_the_pinned_ones_and_replace_their_own() -> None:
    usual = [line for line in requirements(MANIFEST) if not line.startswith("scikit-learn==")]
    listed = Environment.of(None, None, ["shap>=0.46", "Scikit_Learn<2"]).requirements(MANIFEST)
    assert listed == [*usual, "shap>=0.46", "Scikit_Learn<2"]


def test_a_list_of_requirements_is_the_whole_list() -> None:
    assert Environment.of(None, ["pandas"], None).requirements(MANIFEST) == ["pandas"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("shap", ("shap",)),
        ("shap>=0.46,<0.50", ("shap>=0.46,<0.50",)),
        ("shap>=0.46, polars", ("shap>=0.46", "polars")),
        ("dask[array,dataframe]>=2,polars<2,>1", ("dask[array,dataframe]>=2", "polars<2,>1")),
    ],
)
def test_a_text_of_the_command_line_is_cut_between_requirements(text: str, lines: tuple[str, ...]) -> None:
    assert Environment.of(None, None, text).extra_pip_requirements == lines


def test_one_path_may_be_given_alone(tmp_path: Path) -> None:
    assert Environment.of(tmp_path, None, None) == Environment.of([str(tmp_path)], None, None)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"code_paths": ["nowhere.py"]}, r"code_paths names .*nowhere\.py, which is not there"),
        ({"code_paths": ["one/a.py", "two/a.py"]}, r"code_paths has a\.py twice"),
        ({"code_paths": ["metamodel"]}, "code_paths has metamodel twice"),
        ({"code_paths": ["metamodel.zip"]}, r"code_paths has metamodel\.zip twice"),
        ({"pip_requirements": ["a"], "extra_pip_requirements": ["b"]}, "Give one of them"),
        ({"extra_pip_requirements": ["a", ""]}, r"extra_pip_requirements holds .*, which names no package"),
        ({"pip_requirements": [3]}, "pip_requirements holds 3, which names no package"),
    ],
)
def test_what_cannot_be_logged_is_refused(
    given: dict[str, Any], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two", "metamodel", "metamodel.zip"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").touch()
    nothing: dict[str, Any] = dict.fromkeys(("code_paths", "pip_requirements", "extra_pip_requirements"))
    with pytest.raises(InputError, match=match):
        Environment.of(**{**nothing, **given})
