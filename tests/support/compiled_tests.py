"""Compiled files for all processes of `pytest -n`: each would make all of them, at the same time as the others."""

import compileall
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT, SUPPORT

__all__ = ["compile_tests"]


def compile_tests(config: pytest.Config) -> None:
    """Compile what is going to be imported and is not compiled yet: our code, and tests with the asserts that explain.

    Parameters
    ----------
    config
        Of a session, which says which tests are meant.
    """
    if sys.dont_write_bytecode:
        return
    for folder in (ROOT / "metamodel", SUPPORT):
        compileall.compile_dir(folder, quiet=2)
    for path in _test_files(config):
        with contextlib.suppress(SyntaxError):  # whoever imports it says so
            _rewrite(path, config)


def _test_files(config: pytest.Config) -> Iterator[Path]:
    ignored = {Path(place).resolve() for place in config.getoption("ignore") or ()}
    for argument in config.args:
        place = Path(argument.partition("::")[0]).resolve()
        for path in [place] if place.is_file() else sorted(place.rglob("test_*.py")):
            if path.name.startswith("test_") and ignored.isdisjoint((path, *path.parents)):
                yield path


def _rewrite(path: Path, config: pytest.Config) -> None:
    """Do what pytest does when it imports a test, but for importing it."""
    from _pytest.assertion import rewrite

    cache = rewrite.get_cache_dir(path)
    compiled = cache / (path.stem + rewrite.PYC_TAIL)
    # Without its state, asserts are left as they are.
    if (state := config.stash.get(rewrite.assertstate_key, None)) and not rewrite._read_pyc(path, compiled):
        read_at, code = rewrite._rewrite_test(path, config)
        if rewrite.try_makedirs(cache):
            rewrite._write_pyc(state, code, read_at, compiled)
