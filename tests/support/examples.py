"""Examples in docstrings, looked for where there are some."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.doctest import DoctestModule

__all__ = ["Examples"]


class Examples:
    """Leaves out of pytest's search for examples the files without one, which it would import and look through."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path) -> Generator[None, Any, Any]:
        collectors = yield
        if any(isinstance(one, DoctestModule) for one in collectors) and b">>>" not in file_path.read_bytes():
            return [one for one in collectors if not isinstance(one, DoctestModule)]
        return collectors
