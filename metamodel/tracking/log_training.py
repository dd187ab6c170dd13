"""Log a training as ONE run: parameters, aggregates, ledger, plots, data set, environment, and the one model.

The number of requests does not depend on the number of groups: nothing here is logged, tagged or uploaded for a
single group.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models.model import ModelInfo

from metamodel.bundle.display import description
from metamodel.bundle.model import MetaModel
from metamodel.bundle.references import ReferenceSettings
from metamodel.bundle.rollout.exploring_model import exploring
from metamodel.common.version import __version__
from metamodel.exceptions import InputError
from metamodel.flavor.environment import Environment
from metamodel.flavor.fresh_process import warn_of_missing_code
from metamodel.flavor.pyfunc_args import pyfunc_parts
from metamodel.flavor.signature import signature
from metamodel.tracking import registry
from metamodel.tracking.children import ChildLogging, LogChildren
from metamodel.tracking.kept_bundle import bundle_kept
from metamodel.tracking.log_bundle import without_advice
from metamodel.tracking.logged_model import log_pyfunc
from metamodel.tracking.record_generation import record_generation, writable_history
from metamodel.tracking.run import check_tags, claim, training_run
from metamodel.tracking.run_contents import checks_of, log_dataset, log_summary, params_of, upload_contents
from metamodel.training.finished import result_of_bundle
from metamodel.training.result import TrainingResult

__all__ = ["log_model"]

# Where to look under the run's artifacts, with the report and without it.
_WITH_REPORT = "`report.html` shows the worst and best groups, `ledger.json` what became of each."
_WITHOUT_REPORT = "`ledger.json` shows what became of each group."


def log_model(  # noqa: PLR0913 - what is logged, and how it will be asked
    result: TrainingResult | str | Path,
    name: str = "model",
    registered_model_name: str | None = None,
    alias: str | None = None,
    *,
    predict_method: str = "predict",
    detail: bool = False,
    log_children: LogChildren = "bundle",
    settings: ReferenceSettings | None = None,
    report: bool = True,
    code_paths: Sequence[str | Path] | str | Path | None = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    run_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    history: str | Path | None = None,
) -> ModelInfo:
    """Log a training and its meta-model into one run, and register one version of it.

    Parameters
    ----------
    result
        What `metamodel.train` returned; or the directory of a bundle, whose training table is not at hand.
    name
        Name of the logged model.
    registered_model_name
        Register a version under this name.
    alias
        Point this alias at the new version.
    predict_method, detail
        What a call without params answers; recorded in the signature, so that Spark knows the columns beforehand.
    log_children
        "bundle": the children are in the meta-model, and no request is sent for a group. "models": each child is an
        MLflow model of its own, to which the meta-model refers. "runs": a nested run for each group beside the bundle.
        See docs/references.md for what these cost.
    settings
        With "models" and "runs": requests a second, concurrency and patience; they are kept for fetching the models.
    report
        Whether the run gets the plots and `report.html`; without them it has the tables alone, and is logged sooner.
    code_paths
        Files and folders of your own that children's code imports: they travel with the model and can be imported
        wherever it is loaded.
    pip_requirements
        The whole list of requirements. By default they are pinned to the versions of here: what predicting needs, the
        packages of the estimators, and those that your own classes and functions import.
    extra_pip_requirements
        Requirements beside those, such as ``"shap>=0.46"``; one of the same package replaces the pinned one.
    run_name
        Name of the run, also of one that was there.
    tags
        Tags of the run, the logged model and the registered version.
    history
        Folder or address of the history that a registered version is written to; by default METAMODEL_HISTORY, if it
        is set. See docs/history.md.

    Returns
    -------
    mlflow.models.model.ModelInfo
        With `model_uri`, `run_id` and, where it was registered, `registered_model_version`.

    Raises
    ------
    InputError
        `alias` without `registered_model_name`, a name that MLflow does not take, a prediction that this model cannot
        make, code that is not there, a history that is none, or a run that holds another training. Nothing was logged
        then.
    TrackingServerUnavailable
        The tracking server is not there; nothing was logged.
    LoggingFailed
        The server stopped answering, or a disk is full, or some groups could not be logged one by one. Nothing was
        registered; the bundle is kept, and the message says how to log it.
    """
    result = _as_result(result)
    registry.check_names(registered_model_name, alias, name)
    store = writable_history(history, registered_model_name)
    model = MetaModel(result.bundle_path, defaults={"predict_method": predict_method, "detail": detail})
    model.route.check(model.options())
    # Raises what it has to raise before anything is logged.
    answering = exploring(model)
    signature(result.manifest, answering.route, answering.options(), answering.entity_names)
    environment = Environment.of(code_paths, pip_requirements, extra_pip_requirements)
    given_tags = check_tags(tags or {})
    warn_of_missing_code(model, environment)
    children, opened = ChildLogging(log_children, settings), mlflow.active_run() is None
    with bundle_kept(result.bundle_path), children.throttled(), training_run() as run:
        described = description(result.summary, result.manifest)
        where = _WITH_REPORT if report else _WITHOUT_REPORT
        note, identity = f"{described} Under Artifacts, {where}", children.identity(result)
        params, run_tags = params_of(result), {**given_tags, **checks_of(result)}
        noted: dict[str, Any] = {"name": run_name, "tags": run_tags, "params": params, "opened": opened}
        claim(run, model.bundle.digest, identity, note, **noted)
        log_dataset(result)
        answers = {"predict_method": predict_method, "detail": detail, "log_children": log_children}
        asked = {
            "register": registered_model_name,
            "alias": alias,
            "run_name": run_name,
            "tags": given_tags or None,
        }
        upload_contents(
            run, result, settings, report=report, history=history, **asked, **answers, **environment.options()
        )
        with (
            without_advice(),
            children.logged(result, run, name, model, environment) as logged,
            pyfunc_parts(logged, result.data, environment) as parts,
        ):
            info = log_pyfunc(run, name, parts, tags=given_tags, params=params)
            said = (logged.manifest, logged.bundle.digest, logged.ledger) if store else None
        log_summary(run, result, info.model_id)
        if registered_model_name:
            info.registered_model_version = registry.register_version(
                registered_model_name, info.model_id, described, {**given_tags, **_tags(result)}, alias, history
            )
            record_generation(store, registered_model_name, info, said)
    return info


def _as_result(result: TrainingResult | str | Path) -> TrainingResult:
    if isinstance(result, str | Path):
        return result_of_bundle(result)
    if not isinstance(result, TrainingResult):
        raise InputError(
            f"log_model takes what metamodel.train returned, or a bundle's directory, not a {type(result).__name__}."
        )
    return result


def _tags(result: TrainingResult) -> Mapping[str, str]:
    counts = {name: str(result.summary[f"groups_{name}"]) for name in ("fitted", "skipped", "failed")}
    return {
        **{f"metamodel.groups_{name}": value for name, value in counts.items()},
        "metamodel.version": __version__,
    }
