"""Log, or save, a bundle that no training of this process has made."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
import pandas as pd
from mlflow.models.model import ModelInfo

from metamodel.bundle.model import MetaModel
from metamodel.common.messages import count
from metamodel.common.temp_dirs import plainly_named
from metamodel.common.version import __version__
from metamodel.flavor.pyfunc_args import pyfunc_parts
from metamodel.flavor.signature import InputForm
from metamodel.tracking import registry
from metamodel.tracking.run import training_run

__all__ = ["log_bundle", "without_advice"]


def log_bundle(
    model: MetaModel,
    example: pd.DataFrame | None,
    name: str,
    registered_model_name: str | None,
    alias: str | None,
    *,
    inputs: InputForm = "columns",
) -> ModelInfo:
    """Log a finished bundle as a pyfunc model, and register it; see `reference`.

    Parameters
    ----------
    model
        The bundle; what a call without params answers stays as it is.
    example
        Rows of which some become the input example.
    name, registered_model_name, alias, inputs
        As for `metamodel.log_model`.
    """
    with training_run(), without_advice(), plainly_named(model.bundle.path) as bundle:
        info = mlflow.pyfunc.log_model(name=name, **pyfunc_parts(bundle, model, example, inputs))
        if registered_model_name:
            far = _far(model)
            info.registered_model_version = registry.register_version(
                registered_model_name, info.model_uri, _description(model, far), _tags(far), alias
            )
    return info


@contextmanager
def without_advice() -> Iterator[None]:
    """Keep MLflow's advice to give an example from those who have none to give."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*An input example was not provided", category=UserWarning)
        yield


def _far(model: MetaModel) -> int:
    """Count the children that the bundle does not hold."""
    references = model.bundle.references
    return 0 if references is None else sum(not reference.packed for _, reference in references.items())


def _description(model: MetaModel, far: int) -> str:
    """Say how many children the bundle holds, and to how many it refers."""
    here, keys = model.manifest.counts["fitted"] - far, ", ".join(model.manifest.keys.names)
    if not here:
        return f"Refers to {count(far, 'child model')} by {keys}."
    more = f", and refers to {far:,} more" if far else ""
    return f"Holds {count(here, 'child model')} by {keys}{more}."


def _tags(groups: int) -> dict[str, str]:
    return {"metamodel.groups_referenced": str(groups), "metamodel.version": __version__}
