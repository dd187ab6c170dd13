"""Which modules come with Python or from an installed package, wherever pip has put it; all others are the caller's."""

import importlib.metadata
import sys
import sysconfig
from functools import cache
from pathlib import Path

__all__ = ["is_installed"]


@cache
def is_installed(module: str) -> bool:
    """Whether a module comes with Python or from an installed package; ours counts as one.

    Examples
    --------
    >>> is_installed("json"), is_installed("numpy"), is_installed("__main__")
    (True, True, False)
    """
    top = module.partition(".")[0]
    if top in ("metamodel", "builtins") or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    if module == "__main__" or not file:
        return False
    place = Path(file).resolve()
    if any(place.is_relative_to(folder) for folder in _folders_of_python()):
        return True
    folders = [folder for folder in _folders_on_path() if place.is_relative_to(folder)]
    return any(place in _installed_in(folder, folder.stat().st_mtime_ns) for folder in folders)


@cache
def _folders_of_python() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _folders_on_path() -> list[Path]:
    return [Path(folder).resolve() for folder in sys.path if Path(folder).is_dir()]


@cache
def _installed_in(folder: Path, changed: int) -> frozenset[Path]:
    """Files that installed packages brought into a folder, such as that of ``pip install --target``.

    Only an installation writes RECORD. A project's own ``egg-info`` has none, and that of an editable installation
    does not list the code, which its author may change at any moment.
    """
    return frozenset(
        Path(str(file.locate())).resolve()
        for distribution in importlib.metadata.distributions(path=[str(folder)])
        if distribution.read_text("RECORD") is not None
        for file in distribution.files or ()
    )
