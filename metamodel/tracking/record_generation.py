"""Write a registered version into the history; a history that cannot be written takes nothing away from the version."""

from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.models.model import ModelInfo

from metamodel.bundle.manifest import Manifest
from metamodel.common.failures import known_failure
from metamodel.common.messages import error_text, short_line
from metamodel.common.progress import say
from metamodel.common.uris import redacted
from metamodel.exceptions import MetaModelError
from metamodel.lineage.generation import Generation, TrainingData
from metamodel.lineage.history_store import HistoryStore
from metamodel.tables.delta import DeltaName, is_delta

__all__ = ["data_of_run", "generation_of", "record_generation", "writable_history"]


def writable_history(history: str | Path | None, registered: str | None) -> HistoryStore | None:
    """Open the history that a version will be written to; None where none is configured, or nothing is registered.

    Raises
    ------
    InputError
        It is no history, or nobody may write there.
    """
    store = HistoryStore.configured(history) if registered else None
    if store is not None:
        store.check_writable()
    return store


def record_generation(
    store: HistoryStore | None, name: str, logged: ModelInfo, said: tuple[Manifest, str, pd.DataFrame] | None
) -> None:
    """Write a version that was registered; where that fails, say what is missing and how to mend it.

    Parameters
    ----------
    store
        The history; without one there is nothing to do.
    name
        The registered model.
    logged
        What was logged, with the number of its version.
    said
        Manifest, digest and ledger of its bundle.
    """
    if store is None or said is None:
        return
    version = int(logged.registered_model_version or 0)
    try:
        store.write_generation(generation_of(name, version, logged.run_id, said))
    except Exception as error:  # noqa: BLE001 - the version is registered, whatever happened
        told = error if isinstance(error, MetaModelError) else known_failure(error)
        reason = str(told) if told else short_line(error_text(error))
        say(
            f"Version {version} of {name} is registered, but missing in the history ({redacted(reason)}) "
            f"Add it with: metamodel history {name} --rebuild --history {redacted(store.place)}"
        )


def generation_of(name: str, version: int, run_id: str, said: tuple[Manifest, str, pd.DataFrame]) -> Generation:
    """Put together what a history keeps of a version.

    Parameters
    ----------
    name, version
        The registered model, and the number of its version.
    run_id
        The run that made it; "" where there is none.
    said
        Manifest, digest and ledger of its bundle.
    """
    manifest, digest, ledger = said
    facts = {"manifest": manifest, "digest": digest, "ledger": ledger}
    return Generation(model=name, version=version, data=data_of_run(run_id), **facts)


def data_of_run(run_id: str) -> TrainingData:
    """Say which table a run has logged as the one that it trained on."""
    inputs = MlflowClient().get_run(run_id).inputs if run_id else None
    if inputs is None or not inputs.dataset_inputs:
        return TrainingData(run_id=run_id)
    dataset = inputs.dataset_inputs[-1].dataset
    version = DeltaName.parse(dataset.name).version if is_delta(dataset.name) else None
    return TrainingData(run_id=run_id, digest=dataset.digest, source=dataset.name, version=version)
