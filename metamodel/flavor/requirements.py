"""The packages that a logged model's environment must have, pinned to the versions of here."""

import functools
import importlib.metadata
import inspect
from collections.abc import Set as AbstractSet

from metamodel.bundle.manifest import Manifest

__all__ = ["requirements"]

# What the code that travels with the model imports to predict.
_RUNTIME = (
    "mlflow",
    "scikit-learn",
    "pandas",
    "numpy",
    "pyarrow",
    "cachetools",
    "cloudpickle",
    "zstandard",
    "filelock",
    "requests",
    "urllib3",
    "tenacity",
)

# With two or more server workers a request costs 40 ms more without these (docs/serving.md).
_SERVER = ("uvloop", "httptools")

# Stacked tree ensembles are answered by their children, more slowly, where it is missing.
_FAST = ("numba",)

# The package that brings each module: what is installed is looked through once for all of them.
_modules: dict[str, str] = {}


def requirements(manifest: Manifest) -> list[str]:
    """Pin the requirements of a model's environment; letting MLflow infer them would cost 15 seconds a call."""
    candidates = manifest.options["candidates"].values()
    estimators = frozenset(package for candidate in candidates for package in candidate["packages"])
    codec = () if manifest.codec == "cloudpickle" else (manifest.codec,)
    fast = _FAST if any(stack.get("family") == "trees" for stack in manifest.stacks) else ()
    others = _distributions(estimators - {"sklearn"})  # which is among those above
    wanted = dict.fromkeys([*_RUNTIME, *codec, *sorted(others), *_SERVER, *fast])
    return [f"{package}=={found}" for package in wanted if (found := _installed(package))]


@functools.cache  # a module keeps its package as long as the process lives
def _distributions(modules: frozenset[str]) -> frozenset[str]:
    if not modules <= _modules.keys():  # or one has been installed since
        _modules.update(_packages())
    return frozenset(_modules[module] for module in modules & _modules.keys()) - {"metamodel"}


def _packages() -> dict[str, str]:
    """Map each module to the first package that brings it.

    So does `importlib.metadata.packages_distributions`, which asks the disk for every file of every package: tens of
    thousands, which takes longer than to log a small model. The lists of these files say as much.
    """
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        if new := _modules_of(distribution) - found.keys():
            found |= dict.fromkeys(new, distribution.metadata["Name"])
    return found


def _modules_of(distribution: importlib.metadata.Distribution) -> AbstractSet[str]:
    if declared := (distribution.read_text("top_level.txt") or "").split():
        return set(declared)
    if (record := distribution.read_text("RECORD")) is None:
        files = [str(file) for file in distribution.files or ()]  # not of a wheel
    else:
        files = [line.removeprefix('"').partition(",")[0] for line in record.splitlines()]
    tops = {file.partition("/")[::2] for file in files}
    names = {top if below else inspect.getmodulename(top) or top for top, below in tops}
    return {name for name in names if "." not in name}


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
