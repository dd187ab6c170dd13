"""Directories that are this user's alone: what others have made, may write to or could replace is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metamodel.common.user_cache import check_own, check_private, private_directory, user_cache

pytestmark = [pytest.mark.tableless, pytest.mark.skipif(os.name != "posix", reason="users have numbers on POSIX alone")]

# Somebody else; whom only the administrator can give something to.
OTHER = 54321

as_administrator = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only the administrator can give a file to somebody else"
)


def test_it_lies_where_the_desktop_standard_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "metamodel"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "metamodel"


def test_a_private_directory_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = private_directory(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_directory(made) == made


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _in_a_directory_of_all(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("prepare", "match"),
    [
        (_link, "is no directory, but a link"),
        (Path.touch, "is no directory, but a link or a file"),
        (_open_to_all, r"^others may write to .*/mine \(chmod go-w"),
        (_in_a_directory_of_all, r"^others may write to .*/parent \(chmod go-w"),
    ],
)
def test_a_directory_that_others_can_change_is_refused(
    tmp_path: Path, prepare: Callable[[Path], object], match: str
) -> None:
    (tmp_path / "parent").mkdir()
    prepare(tmp_path / "parent" / "mine")
    with pytest.raises(PermissionError, match=match):
        private_directory(tmp_path / "parent" / "mine")


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private_directory(tmp_path / "mine")
    monkeypatch.setattr(os, "getuid", lambda: OTHER)
    with pytest.raises(PermissionError, match="mine belongs to another user"):
        private_directory(tmp_path / "mine")


def test_a_directory_in_a_sticky_one_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    assert private_directory(tmp_path / "mine").is_dir()


@as_administrator
def test_a_directory_inside_one_of_somebody_else_is_refused(tmp_path: Path) -> None:
    private_directory(tmp_path / "theirs" / "mine")
    os.chown(tmp_path / "theirs", OTHER, OTHER)
    with pytest.raises(PermissionError, match=r"^others may write to .*/theirs \("):
        private_directory(tmp_path / "theirs" / "mine")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o700])
def test_a_file_that_this_user_alone_can_change_is_taken(mode: int, tmp_path: Path) -> None:
    assert check_private(tmp_path / "file") == tmp_path / "file"
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    assert check_private(tmp_path / "file") == tmp_path / "file"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_change_is_refused(mode: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    with pytest.raises(PermissionError, match=r"^others may write to .*/file \(chmod go-w"):
        check_private(tmp_path / "file")


@pytest.mark.parametrize("place", [lambda path: path.symlink_to("/dev/null"), os.mkfifo])
def test_a_link_and_a_pipe_in_the_place_of_a_file_are_refused(place: Callable[[Path], None], tmp_path: Path) -> None:
    place(tmp_path / "file")
    with pytest.raises(PermissionError, match=r"/file is a link, or no file, that stands in the place of one"):
        check_private(tmp_path / "file")


@as_administrator
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o600)
    os.chown(tmp_path / "file", OTHER, OTHER)
    with pytest.raises(PermissionError, match="file belongs to another user"):
        check_private(tmp_path / "file")


@as_administrator
def test_a_directory_that_somebody_else_made_or_links_is_not_ones_own(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir(mode=0o777)
    check_own(tmp_path / "made")
    (tmp_path / "linked").symlink_to(tmp_path / "made")
    os.chown(tmp_path / "made", OTHER, OTHER)
    for name in ("made", "linked"):
        with pytest.raises(PermissionError, match=f"/{name} was made by another user"):
            check_own(tmp_path / name)
