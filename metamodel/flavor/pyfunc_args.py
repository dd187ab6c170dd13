"""A finished bundle as MLflow takes it: the parts of a pyfunc model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.exploring_model import ExploringModel, exploring
from metamodel.common.temp_dirs import plainly_named, temporary_directory
from metamodel.flavor.code_archive import write_code
from metamodel.flavor.environment import Environment
from metamodel.flavor.signature import input_example, made_up_example, signature

__all__ = ["pyfunc_parts", "recorded_defaults"]

_NOTHING_MORE = Environment()


@contextmanager
def pyfunc_parts(
    model: MetaModel,
    data: pd.DataFrame | None,
    environment: Environment = _NOTHING_MORE,
) -> Iterator[dict[str, Any]]:
    """Arguments with which MLflow logs, or saves, a finished bundle as a pyfunc model.

    Parameters
    ----------
    model
        The bundle, opened; what a call without params answers is recorded.
    data
        Rows of which some become the input example; without any, there is none.
    environment
        The code and packages that go with the model.

    Yields
    ------
    dict
        The files that it names are there until the block ends.
    """
    manifest = model.manifest
    model = exploring(model)  # as it will answer
    shown = None
    if data is not None and not data.empty:
        example = input_example if manifest.options.get("keep_rows", True) else made_up_example
        shown = example(manifest, data, model.entity_names)
    with plainly_named(model.path) as bundle, temporary_directory("code") as directory:
        loader, archive = write_code(directory)
        yield {
            "python_model": str(loader),
            "artifacts": {"bundle": str(bundle)},
            "signature": signature(manifest, model.route, model.options(), model.entity_names),
            "input_example": shown,
            "pip_requirements": environment.requirements(manifest),
            "model_config": _settings(model),
            "code_paths": [str(path) for path in (archive, *environment.code_paths)],
            "metadata": {
                "metamodel": {
                    "defaults": recorded_defaults(model),
                    "bundle": model.digest,
                    **environment.noted(),
                }
            },
        }


def _settings(model: MetaModel) -> dict[str, Any]:
    """Only what stands here can be given when the model is loaded."""
    options = model.manifest.options
    explore = options.get("explore", 0) if isinstance(model, ExploringModel) else 0
    return {"preload": 0, "explore": explore, "explore_entity": list(options.get("explore_entity") or ())}


def recorded_defaults(model: MetaModel) -> dict[str, Any]:
    """Say what a call without params answers."""
    options = model.options()
    return {"predict_method": options.predict_method, "detail": options.detail}
