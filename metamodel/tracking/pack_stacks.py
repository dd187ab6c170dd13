"""Pack a model that exists: a bundle on disk, or a model that MLflow holds, which itself is never changed."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from metamodel.bundle.manifest import MANIFEST_NAME
from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.rollout_model import refuse_rollout
from metamodel.common.group_status import TRAINED
from metamodel.common.temp_dirs import temporary_directory
from metamodel.exceptions import InputError
from metamodel.flavor.environment import recorded_environment
from metamodel.flavor.load import load_model
from metamodel.flavor.pyfunc_args import recorded_defaults
from metamodel.flavor.remote import check_tracking_server
from metamodel.tables.sources import read_data
from metamodel.tracking import registry
from metamodel.tracking.log_bundle import log_bundle
from metamodel.training.build_stacks import stack_bundle

__all__ = ["repack"]


def repack(model: str, data: str, output: str | None, register: str | None, alias: str | None) -> dict[str, Any]:
    """Give a model stacks, and say what became of its groups.

    Parameters
    ----------
    model
        A bundle's directory, a logged model's, or an MLflow URI.
    data
        A table with the group columns and the features: a file, or the name of a built-in sample.
    output
        Where to write the bundle. Without it a bundle given by its directory is replaced, in one moment at the end.
    register, alias
        Register the packed model as a new version, and point an alias at it.

    Returns
    -------
    dict
        `groups_fitted`, `groups_stacked`, `not_stacked` (reason → groups), `output`, `model_uri` and `version`.

    Raises
    ------
    InputError
        A model of MLflow's with neither `output` nor `register`; a name that MLflow does not take; a wrong table.
    CorruptBundle
        A child's bytes are damaged: packing would record them as right.
    """
    registry.check_names(register, alias)
    in_place = output is None and (Path(model) / MANIFEST_NAME).is_file()
    if not (in_place or output or register):
        raise InputError(f"{model} is a model of MLflow's, which is not changed. Give --output DIR or --register NAME.")
    if register:
        check_tracking_server()
    opened = load_model(model)
    refuse_rollout(opened, "stacked")
    table = read_data(data, opened.manifest.keys.names)
    with ExitStack() as stack:
        target = Path(model) if in_place else Path(output) if output else None
        if target is None:
            target = stack.enter_context(temporary_directory("pack")) / "bundle"
        stack_bundle(opened.bundle.path, table, target)
        packed = MetaModel(target, defaults=recorded_defaults(opened))
        info = None
        if register:
            environment = recorded_environment(opened)
            info = log_bundle(packed, table, "model", register, alias, environment=environment)
        facts = _facts(packed.ledger)
    where = str(target) if in_place or output else None
    uri, version = (info.model_uri, str(info.registered_model_version)) if info else (None, None)
    return {**facts, "output": where, "model_uri": uri, "version": version}


def _facts(ledger: pd.DataFrame) -> dict[str, Any]:
    fitted = ledger[ledger["status"].isin(TRAINED)]
    reasons = fitted.loc[fitted["stack"] != "", "stack"].value_counts()
    return {
        "groups_fitted": len(fitted),
        "groups_stacked": int((fitted["stack"] == "").sum()),
        "not_stacked": {str(reason): int(groups) for reason, groups in reasons.items()},
    }
