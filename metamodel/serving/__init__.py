"""`metamodel serve`: MLflow's scoring protocol for real-time users.

The same requests, answers and refusals as `mlflow models serve` at /invocations, /ping, /health and /version, and
Prometheus metrics at /metrics; a request of plain JSON takes a shorter way (docs/serving.md).
It knows nothing of training and tracking.
"""

import gc
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from metamodel.common.extras import require_extra
from metamodel.common.messages import count
from metamodel.common.uris import redacted
from metamodel.exceptions import InputError

if TYPE_CHECKING:
    import socket

    from metamodel.prediction_log.log_settings import LogSettings
    from metamodel.prediction_log.log_writer import PredictionLog
    from metamodel.serving.app import Limits, Service
    from metamodel.serving.held_bytes import WorkerBytes
    from metamodel.serving.prometheus import WorkerFigures
    from metamodel.serving.scorer import Scorer
    from metamodel.serving.served_challenger import Challenge, ControlGroup

    Opening = Callable[[str, str], Scorer]

    Beside = Challenge | ControlGroup

__all__ = ["serve"]

_logger = logging.getLogger(__name__)

# What the extra `serve` brings.
_NEEDED = ("fastapi", "uvicorn", "uvloop", "httptools", "orjson", "prometheus_client")


def serve(  # noqa: PLR0913 - each says one thing of the server
    model: str,
    host: str = "127.0.0.1",
    port: int = 5000,
    workers: int = 1,
    limits: dict[str, float] | None = None,
    drain_seconds: float = 1.0,
    refresh_seconds: float | None = None,
    announce: Callable[[str], None] = _logger.info,
    *,
    challenge: "Beside | None" = None,
    log: "LogSettings | None" = None,
) -> int:
    """Serve a model until SIGTERM or SIGINT.

    Parameters
    ----------
    model
        An MLflow URI, the directory of a bundle or of a logged model, or the file of a packed one.
    host, port
        Where to listen.
    workers
        Processes.
    limits
        Fields of `metamodel.serving.app.Limits` that shall have another value.
    drain_seconds
        How long requests are still taken after the signal, with the note to go elsewhere from now on.
    refresh_seconds
        Follow the aliases of the model and of its challenger: how often to look where they point. None to go on with
        the versions of the start.
    announce
        Told once where the server listens.
    challenge
        A challenger that is served beside the model; or a control group that the model's parents answer. None for the
        control group that the training recorded, if any.
    log
        What is logged of the answers, and where (docs/prediction_log.md); None for no log.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError
        The extra `serve` is not installed, there is no such model, a number is too small, the address cannot be had, or
        an alias shall be followed that no URI names; or the log's folder cannot be made, or a column
        of the log shall stay empty that is none.
    """
    _check({"workers": workers, **(limits or {}), **({} if refresh_seconds is None else {"refresh": refresh_seconds})})
    from metamodel.bundle.references import WORKERS_VARIABLE
    from metamodel.serving import workers as processes
    from metamodel.serving.app import Limits
    from metamodel.serving.held_bytes import HeldBytes
    from metamodel.serving.prometheus import Figures
    from metamodel.serving.refresh import AliasWatch

    uris = _followed(model, challenge, refresh_seconds)
    allowed = Limits(**(limits or {}))  # type: ignore[arg-type]  # whole numbers where they are wanted
    opened_log = _open_log(log)
    listening = processes.bind(host, port)
    os.environ.setdefault(WORKERS_VARIABLE, str(workers))  # children that live elsewhere: workers share one rate
    opening = partial(_scorer, allowed, challenge, opened_log)
    scorer = _first_scorer(model, opening, listening, log)
    held = HeldBytes(workers, allowed.held_bytes, allowed.all_held_bytes)
    figures = Figures(workers, scorer.model.route.form(scorer.model.options()).statuses)

    announce(_announced(model, challenge, f"http://{host}:{listening.getsockname()[1]}", workers))
    _keep_what_is_there()
    parent = None if workers == 1 else os.getpid()

    def start(number: int, about_to_listen: Callable[[], None]) -> None:
        service = _service(scorer, figures.of_worker(number), allowed, opened_log, held.of(number), listening)
        _preload(scorer)  # here, because a forked process has a cache of its own
        if refresh_seconds is not None:
            AliasWatch(service, uris, refresh_seconds, partial(_next_scorer, opening, model)).start()
        about_to_listen()
        processes.run_one(service, listening, drain_seconds, parent)

    if workers == 1:
        start(0, lambda: None)
        return 0
    return processes.run_several(start, workers, drain_seconds + allowed.seconds)


def _followed(model: str, challenge: "Beside | None", refresh_seconds: float | None) -> list[str]:
    """Name the models that are served; where they are to be followed, one by an alias."""
    from metamodel.serving.refresh import followed_aliases

    uris = [model, *(() if challenge is None else challenge.followed)]
    if refresh_seconds is not None:
        followed_aliases(uris)
    return uris


def _announced(model: str, challenge: "Beside | None", url: str, workers: int) -> str:
    beside = "" if challenge is None else challenge.words
    return f"Serving {redacted(model)}{beside} on {url} ({count(workers, 'worker')})."


def _service(
    scorer: "Scorer",
    figures: "WorkerFigures",
    limits: "Limits",
    log: "PredictionLog | None",
    held: "WorkerBytes",
    listening: "socket.socket",
) -> "Service":
    """Make a worker's application, before its process has threads: the readers are forked from it."""
    from metamodel.serving.app import Service
    from metamodel.serving.reader_pool import ReaderPool

    readers = ReaderPool(limits.threads, limits.seconds, limits.opened_bytes, [listening])
    return Service(scorer, figures, limits, log, readers, held)


def _keep_what_is_there() -> None:
    """Tell the garbage collector so: it needs not look at it during a request, nor write into pages of all workers."""
    gc.collect()
    gc.freeze()


def _open_log(settings: "LogSettings | None") -> "PredictionLog | None":
    """Open the log, which is fork-safe: each worker has a queue and a thread of its own."""
    from metamodel.prediction_log.log_writer import PredictionLog

    if settings is None:
        return None
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fact = f"The log's folder {str(settings.folder)!r} cannot be made ({error.strerror})."
        raise InputError(f"{fact} Name another in --log.") from error
    return PredictionLog(settings)


def _first_scorer(model: str, opening: "Opening", listening: "socket.socket", log: "LogSettings | None") -> "Scorer":
    from metamodel.serving.refresh import version_now

    try:
        # By its number, not its alias: what is said to answer is what was opened.
        version = version_now(model)
        scorer = opening(f"models:/{version}" if version else model, version)
        if log is not None:
            log.check_drop(tuple(scorer.model.manifest.features.names))
        return scorer
    except BaseException:  # whoever called may live on, and take the port for another model
        listening.close()
        raise


def _next_scorer(opening: "Opening", model: str, version: str) -> "Scorer":
    scorer = opening(f"models:/{version}" if version else model, version)
    _preload(scorer)
    return scorer


def _scorer(
    limits: "Limits", challenge: "Beside | None", log: "PredictionLog | None", model: str, version: str
) -> "Scorer":
    from metamodel.bundle.rollout.exploring_model import exploring
    from metamodel.bundle.stored_stacks import import_for_children
    from metamodel.flavor.load import load_model
    from metamodel.serving.scorer import Scorer

    opened = load_model(model)
    opened = exploring(opened) if challenge is None else challenge.beside(opened, version or model)
    opened.warm_up()
    import_for_children()  # a gap in a row, and a stack leaves it to its child
    return Scorer(opened, limits.rows, version, log, limits.opened_bytes)


def _preload(scorer: "Scorer") -> None:
    from metamodel.bundle.preload import preload_setting

    if (preload := preload_setting()) is not None:
        scorer.model.preload(preload)


def _check(numbers: dict[str, float]) -> None:
    for name, number in numbers.items():
        if not number > 0:
            raise InputError(f"{name}={number!r} leaves nothing to serve. Give a number above 0.")
    require_extra("serve", "metamodel serve", *_NEEDED)
