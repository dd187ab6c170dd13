"""Compactions in processes of their own that end themselves at a step."""

import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from logged_rows import age_that_keeps

from metamodel.prediction_log import compaction, delta_store, hive_store, log_store

_STEPS = [
    (delta_store.DeltaStore, "append"),
    (delta_store.DeltaStore, "clean"),
    (delta_store.DeltaStore, "_delete"),
    (hive_store.HiveStore, "_replace"),
    (hive_store.HiveStore, "clean"),
    (hive_store.HiveStore, "_new_name"),
    (hive_store.HiveStore, "forget"),
    (hive_store.HiveStore, "delete_before"),
    (compaction.Path, "unlink"),
]


def erasing() -> dict[str, Any]:
    """What a compaction does at most in one go: takes in, deletes what is five days old, and forgets somebody."""
    return {"delete_older": age_that_keeps(4), "forget_entity": [[3]], "secret": "hush"}


def exit_code(context: ForkServerContext, folder: Path, kind: str, step: int) -> int | None:
    """Compact in a process that is killed before or after a step, the first of which is 1; return how it ended."""
    process = context.Process(target=_compact, args=(folder, kind, step, erasing()))
    process.start()
    process.join(250)
    if process.exitcode is None:
        process.kill()
    return process.exitcode


def _compact(folder: Path, kind: str, step: int, options: dict[str, Any]) -> None:
    if kind == "hive":
        log_store.find_spec = lambda _: None
    compaction._FILES_AT_ONCE = 2
    countdown = iter(range(step - 1, -1, -1))
    for owner, name in _STEPS:
        setattr(owner, name, _counted(getattr(owner, name), lambda: next(countdown) == 0))
    compaction.compact_log(folder, **options)


def _counted(function: Callable[..., Any], is_last: Callable[[], bool]) -> Callable[..., Any]:
    def step(*arguments: Any, **options: Any) -> Any:
        if is_last():
            os.kill(os.getpid(), signal.SIGKILL)
        done = function(*arguments, **options)
        if is_last():
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return step
