"""`metamodel serve`: MLflow's scoring protocol for real-time users.

The same requests, answers and refusals as `mlflow models serve` at /invocations, /ping, /health and /version, and
Prometheus metrics at /metrics; a request of plain JSON takes a shorter way (docs/serving.md).
"""

import os
from importlib.util import find_spec

from metamodel.exceptions import InputError

__all__ = ["serve"]

# What the extra `serve` brings.
_NEEDED = ("fastapi", "uvicorn", "uvloop", "httptools", "orjson", "prometheus_client")


def serve(
    model: str,
    host: str = "127.0.0.1",
    port: int = 5000,
    workers: int = 1,
    limits: dict[str, float] | None = None,
    drain_seconds: float = 1.0,
) -> int:
    """Serve a model until SIGTERM or SIGINT.

    Parameters
    ----------
    model
        An MLflow URI, or the directory of a bundle or of a logged model.
    host, port
        Where to listen.
    workers
        Processes.
    limits
        Fields of `metamodel.serving.app.Limits` that shall have another value.
    drain_seconds
        How long requests are still taken after the signal, with the note to go elsewhere from now on.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError
        The extra `serve` is not installed, there is no such model, or the address cannot be had.
    """
    if missing := [package for package in _NEEDED if find_spec(package) is None]:
        raise InputError(f"metamodel serve needs {', '.join(missing)}. Install it: pip install 'metamodel[serve]'.")
    from metamodel.fetching import load_model
    from metamodel.serving import workers as processes
    from metamodel.serving.app import Limits, Service
    from metamodel.serving.figures import Figures
    from metamodel.serving.scorer import Scorer

    allowed = Limits(**(limits or {}))  # type: ignore[arg-type]  # whole numbers where they are wanted
    listening = processes.bind(host, port)
    opened = load_model(model)
    opened.warm_up()
    scorer = Scorer(opened, allowed.rows)
    figures = Figures(workers, opened.route.form(opened.options()).statuses)

    def start(number: int, parent: int | None = None) -> None:
        processes.run_one(Service(scorer, figures.of_worker(number), allowed), listening, drain_seconds, parent)

    if workers == 1:
        start(0)
        return 0
    parent = os.getpid()
    return processes.run_several(lambda number: start(number, parent), workers, drain_seconds + allowed.seconds + 5)
