"""What a worker of joblib can say of itself, in a module that it can import."""

import os
import re
import signal
import sys
from pathlib import Path


def facts() -> dict[str, object]:
    """Say what a worker has from its owner, what it draws, and whether it found fitting imported."""
    import numpy as np

    return {
        "arguments": sys.argv,
        "directory": os.getcwd(),
        "draw": np.random.rand(),
        "files": _files(),
        "imported": "metamodel.training.engines.task" in sys.modules,
        "main": vars(sys.modules["__main__"]).get("__file__"),
        "one": os.environ.get("ONE"),
        "parent": os.getppid(),
        "path": sys.path,
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "threads": len(os.listdir("/proc/self/task")),
        "variables": sorted(set(os.environ) - {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "_RJEM_MALLOC_CONF"}),
    }


def _files() -> list[str]:
    """Say what is open, without the numbers that say which one it is."""
    links = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    # The list that is made of them is a file, too, while it is made.
    return sorted(re.sub(r"\d+", "", os.readlink(link)) for link in links if link.is_symlink())


def killed() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
