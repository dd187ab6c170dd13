"""What importing a package, or asking for its version, does anew each time though nothing has changed.

It imports only what comes with Python: the fork server imports nothing before it is asked.
"""

import _imp
import functools
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

__all__ = ["compile_once", "parse_packages_once", "remember_newest_schema"]


def compile_once(package: Path) -> None:
    """Let an archive with the same sources as a package be imported without compiling them.

    A model brings this package along in an archive, and whoever opens it compiles half of the modules, of which Python
    keeps nothing: half of the time in which MLflow's server starts. A source that is another is compiled as ever.
    """
    import zipimport

    compile_source: Callable[[str, bytes], CodeType] | None = getattr(zipimport, "_compile_source", None)
    if compile_source is None:
        return
    compiled = {path.read_bytes(): SourceFileLoader("", str(path)).get_code("") for path in package.rglob("*.py")}

    def compile_unless_known(place: str, source: bytes) -> CodeType:
        if (code := compiled.get(source)) is None:
            return compile_source(place, source)
        _imp._fix_co_filename(code, place)  # type: ignore[attr-defined]
        return code

    zipimport._compile_source = compile_unless_known  # type: ignore[attr-defined]


def parse_packages_once() -> None:
    """Let the same text of what an installed package says of itself be parsed once; it is read each time.

    It is parsed for each of the forty versions that are asked for when a model is trained and logged, by MLflow's own
    copy of `importlib.metadata`: a twelfth of the time that takes.
    """
    import importlib_metadata

    if parse := getattr(importlib_metadata.Distribution, "_assemble_message", None):  # older ones have it not
        importlib_metadata.Distribution._assemble_message = staticmethod(functools.cache(parse))  # type: ignore[method-assign]


def remember_newest_schema() -> None:
    """Let MLflow look once which of its migrations is the newest: it reads all of them for each store that it opens."""
    from mlflow.store.db import utils

    utils._get_latest_schema_revision = functools.cache(utils._get_latest_schema_revision)
