"""Log, or save, a bundle that no training of this process has made."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from mlflow.models.model import ModelInfo

from metamodel.bundle.model import MetaModel
from metamodel.bundle.references import ReferenceSettings
from metamodel.common.group_status import WITH_CHILD
from metamodel.common.messages import count
from metamodel.common.version import __version__
from metamodel.flavor.environment import Environment
from metamodel.flavor.pyfunc_args import pyfunc_parts
from metamodel.flavor.remote import throttled, tracking_throttle
from metamodel.tracking import registry
from metamodel.tracking.logged_model import log_pyfunc
from metamodel.tracking.record_generation import record_generation, writable_history
from metamodel.tracking.run import training_run

__all__ = ["log_bundle", "without_advice"]


def log_bundle(
    model: MetaModel,
    example: pd.DataFrame | None,
    name: str,
    registered_model_name: str | None,
    alias: str | None,
    *,
    environment: Environment | None = None,
    history: str | Path | None = None,
) -> ModelInfo:
    """Log a finished bundle as a pyfunc model, and register it: one that refers, or was given children or stacks.

    Parameters
    ----------
    model
        The bundle; what a call without params answers stays as it is.
    example
        Rows of which some become the input example.
    name, registered_model_name, alias
        As for `metamodel.log_model`.
    environment
        The code and packages that go with the model.
    history
        As for `metamodel.log_model`.
    """
    environment = environment or Environment()
    store = writable_history(history, registered_model_name)
    with (
        throttled(tracking_throttle(ReferenceSettings(), paced=False)),
        training_run() as run,
        without_advice(),
        pyfunc_parts(model, example, environment) as parts,
    ):
        info = log_pyfunc(run, name, parts)
        if registered_model_name:
            info.registered_model_version = registry.register_version(
                registered_model_name, info.model_id, *_said_of(model), alias, history
            )
            said = (model.manifest, model.bundle.digest, model.ledger) if store else None
            record_generation(store, registered_model_name, info, said)
    return info


@contextmanager
def without_advice() -> Iterator[None]:
    """Keep MLflow's advice to give an example from those who have none to give."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*An input example was not provided", category=UserWarning)
        yield


def _said_of(model: MetaModel) -> tuple[str, dict[str, str]]:
    """Describe a version: how many children it holds and refers to, what became of groups; (description, tags)."""
    children = sum(model.ledger["status"].isin(WITH_CHILD))
    keys = ", ".join(model.manifest.keys.names)
    of_groups = model.ledger["level"] == len(model.manifest.keys.columns)
    statuses = model.ledger.loc[of_groups, "status"].value_counts()
    counts = {f"metamodel.groups_{name}": str(statuses.get(name, 0)) for name in ("fitted", "skipped", "failed")}
    tags = {"metamodel.version": __version__, **counts}
    if model.bundle.references is None:
        return f"Holds {count(children, 'child model')} by {keys}.", tags
    far = sum(not reference.packed for _, reference in model.bundle.references.items())
    tags["metamodel.groups_referenced"] = str(far)
    if far == children:
        return f"Refers to {count(far, 'child model')} by {keys}.", tags
    more = f", and refers to {far:,} more" if far else ""
    return f"Holds {count(children - far, 'child model')} by {keys}{more}.", tags
