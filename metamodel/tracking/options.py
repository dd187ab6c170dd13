"""The options of `metamodel train` that are not training's: what the logged model answers, and how it is logged.

Imports nothing heavy, so that `metamodel --help` is quick.
"""

from dataclasses import dataclass, replace
from typing import get_args

from metamodel.common.choices import LogChildren, PredictMethod
from metamodel.common.option import OptionGroup, check_options, option
from metamodel.training.options import OPTION_GROUPS

__all__ = ["RUN_GROUPS", "AnswerOptions", "Logging"]


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """What a call without params answers."""

    predict_method: PredictMethod = option(
        "predict",
        choices=get_args(PredictMethod),
        decisive=False,
        help="predict, predict_proba, decision_function, score_samples or transform.",
    )
    detail: bool = option(
        False, form="switch", decisive=False, help="Answer key, level, child version and error by default."
    )


@dataclass(frozen=True, kw_only=True)
class LoggingOptions:
    """Where the run and the model go, and how the tracking server is spared."""

    register: str | None = option(None, decisive=False, help="Register a version of the model under this name.")
    alias: str | None = option(None, decisive=False, help="Point this alias at the new version.")
    experiment: str | None = option(None, decisive=False, help="MLflow experiment of a new run.")
    run_name: str | None = option(None, decisive=False, help="Name of the run.")
    tags: dict[str, str] | None = option(
        None, form="object", decisive=False, help='Tags of run, model and version: {"team": "pricing"}.'
    )
    code_paths: list[str] | None = option(
        None, form="names", decisive=False, help="Files and folders that the children's code imports."
    )
    pip_requirements: str | list[str] | None = option(
        None, form="texts", decisive=False, help="The whole list of the model's requirements, in place of pinned ones."
    )
    extra_pip_requirements: str | list[str] | None = option(
        None, form="texts", decisive=False, help="Requirements beside the pinned ones: shap>=0.46,polars."
    )
    log_children: LogChildren = option(
        "bundle",
        choices=get_args(LogChildren),
        decisive=False,
        help="Where children are logged: bundle, in the model alone; models, as MLflow models of their own; "
        "or runs, as nested runs.",
    )
    history: str | None = option(
        None, decisive=False, help="Write the registered version into the history in this folder (METAMODEL_HISTORY)."
    )
    rate: float = option(20.0, form="number", decisive=False, help="With models and runs: requests a second.")
    concurrency: int = option(4, form="whole", decisive=False, help="Groups logged side by side.")
    server_patience: float = option(120.0, form="number", decisive=False, help="Seconds to wait for the server.")


@dataclass(frozen=True, kw_only=True)
class Logging(AnswerOptions, LoggingOptions):
    """What is logged, and where."""

    def __post_init__(self) -> None:
        check_options(self)


def _with_answers(group: OptionGroup) -> OptionGroup:
    return replace(group, classes=(*group.classes, AnswerOptions)) if group.key == "answers" else group


# Every option of a training that is logged.
RUN_GROUPS = (*map(_with_answers, OPTION_GROUPS), OptionGroup("mlflow", "MLflow", (LoggingOptions,)))
