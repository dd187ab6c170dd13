"""Where this user's processes keep what can be made again."""

import os
from pathlib import Path

__all__ = ["user_cache"]


def user_cache() -> Path:
    """Name the directory: ``metamodel`` in XDG_CACHE_HOME, or in ``~/.cache``; it need not be there.

    Raises
    ------
    RuntimeError
        The user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metamodel"
