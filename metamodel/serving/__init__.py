"""`metamodel serve`: MLflow's scoring protocol for real-time users.

The same requests, answers and refusals as `mlflow models serve` at /invocations, /ping, /health and /version, and
Prometheus metrics at /metrics; a request of plain JSON takes a shorter way (docs/serving.md).
It knows nothing of training and tracking.
"""

import gc
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from metamodel.common.extras import require_extra
from metamodel.common.messages import count
from metamodel.exceptions import InputError

if TYPE_CHECKING:
    import socket

    from metamodel.bundle.model import MetaModel

__all__ = ["serve"]

_logger = logging.getLogger(__name__)

# What the extra `serve` brings.
_NEEDED = ("fastapi", "uvicorn", "uvloop", "httptools", "orjson", "prometheus_client")


def serve(
    model: str,
    host: str = "127.0.0.1",
    port: int = 5000,
    workers: int = 1,
    limits: dict[str, float] | None = None,
    drain_seconds: float = 1.0,
    announce: Callable[[str], None] = _logger.info,
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
    announce
        Told once where the server listens.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError
        The extra `serve` is not installed, there is no such model, a number is too small, or the address cannot be had.
    """
    _check({"workers": workers, **(limits or {})})
    from metamodel.bundle.preload import preload_setting
    from metamodel.bundle.references import WORKERS_VARIABLE
    from metamodel.serving import workers as processes
    from metamodel.serving.app import Limits, Service
    from metamodel.serving.prometheus import Figures
    from metamodel.serving.scorer import Scorer

    allowed = Limits(**(limits or {}))  # type: ignore[arg-type]  # whole numbers where they are wanted
    listening = processes.bind(host, port)
    os.environ.setdefault(WORKERS_VARIABLE, str(workers))  # children that live elsewhere: workers share one rate
    opened = _open_model(model, listening)
    scorer = Scorer(opened, allowed.rows)
    figures = Figures(workers, opened.route.form(opened.options()).statuses)

    announce(f"Serving {model} on http://{host}:{listening.getsockname()[1]} ({count(workers, 'worker')}).")

    # What exists now stays: the garbage collector needs not look at it during a request, nor write into pages that the
    # workers share.
    gc.collect()
    gc.freeze()

    preload = preload_setting()

    parent = None if workers == 1 else os.getpid()

    def start(number: int, about_to_listen: Callable[[], None]) -> None:
        service = Service(scorer, figures.of_worker(number), allowed)
        if preload is not None:  # here, because a forked process has a cache of its own
            opened.preload(preload)
        about_to_listen()
        processes.run_one(service, listening, drain_seconds, parent)

    if workers == 1:
        start(0, lambda: None)
        return 0
    return processes.run_several(start, workers, drain_seconds + allowed.seconds + 5)


def _open_model(model: str, listening: "socket.socket") -> "MetaModel":
    from metamodel.flavor.load import load_model

    try:
        opened = load_model(model)
        opened.warm_up()
    except BaseException:  # whoever called may live on, and take the port for another model
        listening.close()
        raise
    return opened


def _check(numbers: dict[str, float]) -> None:
    for name, number in numbers.items():
        if not number > 0:
            raise InputError(f"{name}={number!r} leaves nothing to serve. Give a number above 0.")
    require_extra("serve", "metamodel serve", *_NEEDED)
