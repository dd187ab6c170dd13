"""Where this user's processes keep what can be made again, and what makes a directory this user's alone.

What is loaded from a directory may be code, so one that outlives a process has to be its user's: nobody else may have
made it, or be able to put anything into it or in its place.
"""

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["check_own", "check_private", "is_ours", "private_directory", "user_cache"]

# The system's administrator; and whom a system shows in place of owners that it has no number for.
_NOBODY_ELSE = (0, 65534)


def user_cache() -> Path:
    """Name the directory: ``metamodel`` in XDG_CACHE_HOME, or in ``~/.cache``; it need not be there.

    Raises
    ------
    RuntimeError
        The user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metamodel"


def is_ours(found: os.stat_result) -> bool:
    """Whether something belongs to this process's user."""
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()  # Windows has no users' numbers


def private_directory(path: Path) -> Path:
    """Make a directory that this user alone can write to, or insist that the one that is there is such a directory.

    Raises
    ------
    PermissionError
        It is a symbolic link, belongs to somebody else, or others may put files into it or take it away.

    Examples
    --------
    >>> import tempfile
    >>> private_directory(Path(tempfile.mkdtemp()) / "a" / "b").stat().st_mode & 0o777 == 0o700
    True
    """
    for missing in [parent for parent in reversed([path, *path.parents]) if not os.path.lexists(parent)]:
        with contextlib.suppress(FileExistsError):
            missing.mkdir(mode=0o700)
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise PermissionError(f"{path} is no directory, but a link or a file that stands in its place")
    check_private(path)
    if os.name == "posix" and (open_to := _open_to_others(path)):
        raise PermissionError(f"others may write to {open_to} (chmod go-w, or name a directory of your own)")
    return path


def check_private(path: Path) -> Path:
    """Insist that what stands at a path, if anything does, is this user's alone; returns the path.

    For what lies in a directory of `private_directory`: it may have been put there while others could.

    Raises
    ------
    PermissionError
        It is a symbolic link, belongs to somebody else, or others may write to it.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return path
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise PermissionError(f"{path} is a link, or no file, that stands in the place of one (take it away)")
    if not is_ours(found):
        raise PermissionError(f"{path} belongs to another user")
    if os.name == "posix" and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"others may write to {path} (chmod go-w, or name a directory of your own)")
    return path


def check_own(path: Path) -> None:
    """Insist that nobody else has made a directory, wherever it lies.

    Raises
    ------
    PermissionError
        It is a symbolic link, or belongs to another user than this one or the administrator.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or not (is_ours(found) or found.st_uid in _NOBODY_ELSE):
        raise PermissionError(f"{path} was made by another user")


def _open_to_others(path: Path) -> Path | None:
    """Find the directory above a path whose entries others could replace: all may, or it belongs to one of them.

    In a sticky directory (/tmp) nobody replaces the entries of others.
    """
    for parent in path.resolve().parents:
        found = parent.stat()
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            return parent
        if not is_ours(found) and found.st_uid not in _NOBODY_ELSE:
            return parent
    return None
