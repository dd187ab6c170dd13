"""Log, or save, a bundle that no training of this process has made."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models.model import ModelInfo

from metamodel import __version__, model_code, registry
from metamodel.fetching import open_bundle
from metamodel.signatures import input_example, signature
from metamodel.tracking import requirements, training_run
from metamodel.wording import count

__all__ = ["log_bundle", "pyfunc_parts", "without_advice"]


def log_bundle(
    path: Path,
    example: pd.DataFrame | None,
    name: str,
    registered_model_name: str | None,
    alias: str | None,
    *,
    detail: bool = False,
) -> ModelInfo:
    """Log a finished bundle as a pyfunc model, and register it; see `reference`."""
    model = open_bundle(path)
    with training_run(), without_advice():
        info = mlflow.pyfunc.log_model(name=name, **pyfunc_parts(path, example, detail=detail))
        if registered_model_name:
            groups = model.manifest.counts["fitted"]
            keys = ", ".join(model.manifest.keys.names)
            info.registered_model_version = registry.register_version(
                registered_model_name,
                info.model_uri,
                f"Refers to {count(groups, 'child model')} by {keys}.",
                _tags(groups),
                alias,
            )
    return info


@contextmanager
def without_advice() -> Iterator[None]:
    """Keep MLflow's advice to give an example from those who have none to give."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*An input example was not provided", category=UserWarning)
        yield


def pyfunc_parts(path: Path, example: pd.DataFrame | None, *, detail: bool = False) -> dict[str, Any]:
    """Arguments with which MLflow logs, or saves, a finished bundle as a pyfunc model.

    Parameters
    ----------
    path
        The bundle.
    example
        Rows of which some become the input example; without any, there is none.
    detail
        What a call without params answers.
    """
    model = open_bundle(path, defaults={"detail": detail})
    shown = None if example is None or example.empty else input_example(model.manifest, example)
    return {
        "python_model": model_code.__file__,
        "artifacts": {"bundle": str(path)},
        "signature": signature(model.manifest, model.route, model.options()),
        "input_example": shown,
        "pip_requirements": requirements(model.manifest),
        "code_paths": [str(Path(model_code.__file__).parent)],
        "metadata": {"metamodel": {"defaults": {"detail": detail}}},
    }


def _tags(groups: int) -> dict[str, str]:
    return {"metamodel.groups_referenced": str(groups), "metamodel.version": __version__}
