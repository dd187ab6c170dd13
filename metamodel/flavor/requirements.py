"""The packages that a logged model's environment must have, pinned to the versions of here."""

import functools
import importlib.metadata

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

# The packages that bring each module: looking through all that is installed takes longer than logging a small model.
_modules: dict[str, list[str]] = {}


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
        _modules.update(importlib.metadata.packages_distributions())
    return frozenset(_modules[module][0] for module in modules & _modules.keys()) - {"metamodel"}


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
