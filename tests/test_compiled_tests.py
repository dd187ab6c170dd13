"""What the processes of `pytest -n` are to find compiled, they find."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.assertion import rewrite
from compiled_tests import compile_tests

pytestmark = pytest.mark.tableless


def _session(config: pytest.Config, arguments: list[Path | str], ignored: Path) -> Any:
    """Settings of a session with these arguments that leaves a folder out."""
    return SimpleNamespace(
        args=[str(argument) for argument in arguments],
        getini=config.getini,
        getoption={"ignore": [str(ignored)]}.get,
        stash=config.stash,
    )


def _compiled(path: Path) -> Any:
    return rewrite._read_pyc(path, rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL))


def test_tests_are_compiled_once_and_as_pytest_does(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    names = ("in/test_one.py", "in/deep/test_two.py", "named/test_three.py", "in/left/test_four.py", "in/five.py")
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("def test(x=3):\n    assert x == 4\n")
    (tmp_path / "in/test_wrong.py").write_text("assert (")
    session = _session(pytestconfig, [tmp_path / "in", f"{paths[2]}::test"], tmp_path / "in/left")

    compile_tests(session)

    assert [bool(_compiled(path)) for path in paths] == [True, True, True, False, False]
    monkeypatch.setattr(rewrite, "_rewrite_test", None)
    compile_tests(_session(pytestconfig, paths[:3], tmp_path / "in/left"))
    spec = importlib.util.spec_from_file_location("one", paths[0])
    assert spec
    module = importlib.util.module_from_spec(spec)
    pytestconfig.stash[rewrite.assertstate_key].hook.exec_module(module)
    with pytest.raises(AssertionError, match="assert 3 == 4"):
        module.test()


@pytest.mark.parametrize("reason", ["nothing is to be written", "asserts are left as they are"])
def test_nothing_is_compiled_where(
    reason: str, tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", reason == "nothing is to be written")
    session = _session(pytestconfig, [tmp_path], tmp_path / "left")
    if reason == "asserts are left as they are":
        session.stash = pytest.Stash()
    path = tmp_path / "test_one.py"
    path.write_text("assert True")
    compile_tests(session)
    assert sorted(tmp_path.iterdir()) == [path]
