"""The cache of downloaded children on disk: in bounds, one download at a time, and nothing left behind."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metamodel.exceptions import ChildUnavailable, InputError
from metamodel.flavor.remote import disk_cache
from metamodel.flavor.remote.disk_cache import DiskCache, process_disk_cache

MB = 2**20

pytestmark = [pytest.mark.slow, pytest.mark.tableless]


def write(directory: Path, size: int = 100) -> None:
    (directory / "model").write_bytes(b"x" * size)


def on_disk(root: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in (root / "entries").rglob("*"))


def test_an_entry_is_filled_once(tmp_path: Path) -> None:
    cache, filled = DiskCache(tmp_path, MB), []
    for _ in range(3):
        with cache.entry("child", lambda path: (filled.append(path), write(path))) as directory:
            assert (directory / "model").read_bytes() == b"x" * 100
    assert len(filled) == 1


def test_threads_that_ask_at_once_share_one_download(tmp_path: Path) -> None:
    cache, filled, together = DiskCache(tmp_path, MB), [], threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        with cache.entry("child", lambda path: (filled.append(path), write(path))) as directory:
            return (directory / "model").stat().st_size

    with ThreadPoolExecutor(8) as executor:
        assert list(executor.map(ask, range(8))) == [100] * 8
    assert len(filled) == 1


def test_processes_that_ask_at_once_share_one_download(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom metamodel.flavor.remote.disk_cache import DiskCache\n"
        "cache = DiskCache(Path(sys.argv[1]), 10**6)\n"
        "def fill(path):\n    (path / 'model').write_text('1')\n    print('filled')\n"
        "with cache.entry('child', fill): pass\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(said).split() == ["filled"]


def test_a_thousand_children_stay_in_bounds_whoever_brings_them(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, MB)

    def ask(number: int) -> bool:
        with cache.entry(str(number), lambda path: write(path, 5_000)) as directory:
            return (directory / "model").is_file()

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(ask, range(1000)))
    assert 0.5 * MB < on_disk(tmp_path) == cache.size <= MB


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=10**9)
    for name in "abc":
        with cache.entry(name, write):
            pass
    with cache.entry("a", write):
        pass
    cache.limit = cache.size
    with cache.entry("d", write):
        pass
    assert [name in cache for name in "abcd"] == [True, False, True, True]


def test_a_clock_that_is_set_back_changes_neither_who_goes_first_nor_what_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, filled = DiskCache(tmp_path, limit=10**9), []
    for name in "ab":
        with cache.entry(name, write):
            pass
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 600)
    with cache.entry("a", write):
        pass
    cache.limit = cache.size
    with cache.entry("c", write):
        pass
    assert [name in cache for name in "abc"] == [True, False, True]
    with contextlib.suppress(ValueError), cache.entry("c", write):
        raise ValueError("damaged")
    with cache.entry("c", lambda path: filled.append(write(path))):
        pass
    assert filled == [None]


def test_an_entry_in_use_is_not_taken_away(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=1)
    with cache.entry("a", write) as directory:
        with cache.entry("b", write):
            pass
        assert (directory / "model").is_file()


def test_what_a_download_raises_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, MB)

    def fail(path: Path) -> None:
        write(path)
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"), cache.entry("child", fail):
        raise AssertionError("there is no such entry")
    assert cache.size == on_disk(tmp_path) == 0
    assert not list(next(path for path in (tmp_path / "partial").iterdir() if path.is_dir()).iterdir())


def test_after_a_kill_the_next_process_clears_up(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom metamodel.flavor.remote.disk_cache import DiskCache\n"
        "cache = DiskCache(Path(sys.argv[1]), 10**6)\n"
        "def fill(path):\n    (path / 'model').write_text('half')\n    print('writing', flush=True)\n"
        "    time.sleep(600)\n"
        "with cache.entry('child', fill): pass\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    (tmp_path / "entries" / "neither-counted").mkdir()
    assert len(list((tmp_path / "partial").glob("*"))) == 2

    cache = DiskCache(tmp_path, MB)

    assert not list((tmp_path / "entries").iterdir())
    assert {path.name.partition("-")[0] for path in (tmp_path / "partial").iterdir()} == {str(os.getpid())}
    with cache.entry("child", write) as directory:
        assert (directory / "model").read_bytes() == b"x" * 100


def test_whoever_clears_the_directory_stops_nobody(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", 10**6)
    for _ in range(2):
        with cache.entry("a", write) as directory:
            assert (directory / "model").is_file()
        shutil.rmtree(tmp_path / "cache")
    with cache.entry("a", write):
        shutil.rmtree(tmp_path / "cache" / "partial")
    with cache.entry("b", write) as directory:
        assert (directory / "model").is_file()


def test_an_index_that_cannot_be_read_costs_downloads_and_no_answers(tmp_path: Path) -> None:
    cache, fills = DiskCache(tmp_path, 10**6), []
    for name in "ab":
        with cache.entry(name, write):
            pass
    (tmp_path / "index.sqlite").write_bytes(b"no index" * 1000)
    for asked in (cache, DiskCache(tmp_path, 10**6)):
        with asked.entry("a", lambda directory: (write(directory), fills.append(1))) as directory:
            assert (directory / "model").is_file()
    assert len(fills) == 1
    assert [path.name for path in (tmp_path / "entries").iterdir()] == [directory.name]  # nothing uncounted


def test_what_cannot_be_used_is_fetched_again_but_not_at_once(tmp_path: Path) -> None:
    cache, fills = DiskCache(tmp_path, 10**6), []

    def use(error: Exception) -> Path:
        with cache.entry("a", lambda directory: fills.append(write(directory))) as directory:
            pass
        with contextlib.suppress(type(error)), cache.entry("a", write):
            raise error
        return directory

    path = use(ValueError("damaged"))
    assert path.is_dir()
    os.utime(path, (0, 0))
    assert use(ImportError("a package is missing")).is_dir()
    assert not use(ValueError("damaged")).exists()
    use(ValueError("damaged"))
    assert len(fills) == 2


def test_a_living_process_keeps_its_downloads(tmp_path: Path) -> None:
    mine = DiskCache(tmp_path, MB)
    with mine.entry("a", lambda path: (DiskCache(tmp_path, MB).close(), write(path))) as directory:
        assert (directory / "model").is_file()


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40_000)), max_size=12))
def test_it_never_holds_more_than_its_limit(tmp_path_factory: pytest.TempPathFactory, asked: list) -> None:
    root = tmp_path_factory.mktemp("cache")
    cache = DiskCache(root, limit=120_000)
    for name, size in asked:
        with cache.entry(name, lambda path, size=size: write(path, size)) as directory:
            assert (directory / "model").is_file()
        assert on_disk(root) == cache.size <= 120_000
    cache.close()


@pytest.mark.parametrize("text", ["much", "-1", "inf"])
def test_a_limit_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk_cache, "_cache", None)
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path))
    monkeypatch.setenv("METAMODEL_DISK_CACHE_MB", text)
    with pytest.raises(InputError, match="no number of megabytes"):
        process_disk_cache()


@pytest.mark.parametrize("place", ["file/cache", "index"])
def test_a_place_that_cannot_be_written_is_refused(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "index" / "index.sqlite").mkdir(parents=True)
    monkeypatch.setattr(disk_cache, "_cache", None)
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / place))
    with pytest.raises(InputError, match="Set METAMODEL_DISK_CACHE to a directory"):
        process_disk_cache()


def test_a_cache_that_others_can_write_to_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    DiskCache(tmp_path / "cache", MB).close()
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    for place in ("cache", "cache/entries", "cache/locks"):
        (tmp_path / place).chmod(0o777)
        monkeypatch.setattr(disk_cache, "_cache", None)
        with pytest.raises(InputError, match=rf"cannot be kept in .* \(others may write to .*{place} \(chmod go-w"):
            process_disk_cache()
        (tmp_path / place).chmod(0o700)


def test_everything_in_it_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cache = DiskCache(tmp_path / "cache", MB)
        with cache.entry("child", write):
            pass
    finally:
        os.umask(before)
    (lock,) = (tmp_path / "cache" / "locks").iterdir()
    there = [tmp_path / "cache", *(tmp_path / "cache").iterdir(), *(tmp_path / "cache" / "entries").iterdir(), lock]
    assert {path.stat().st_mode & 0o777 for path in there} == {0o700, 0o600}


def _linked(path: Path) -> None:
    kept = path.rename(path.parent.parent.parent / "elsewhere")
    path.symlink_to(kept)


def _given_away(path: Path) -> None:
    os.chown(path, 54321, 54321)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only the administrator can give files away")
@pytest.mark.parametrize(
    ("plant", "match"),
    [
        (_linked, "is a link"),
        (_given_away, "belongs to another user"),
        (lambda path: path.chmod(0o770), "others may write to"),
    ],
)
@pytest.mark.parametrize("place", ["index.sqlite", "entries/{}", "locks/{:.2}.lock"])
def test_what_another_user_put_into_it_while_he_could_is_refused_and_not_touched(
    place: str, plant: Callable[[Path], None], match: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = DiskCache(tmp_path / "cache", MB)
    with cache.entry("child", write):
        pass
    cache.close()
    planted = tmp_path / "cache" / place.format(hashlib.sha256(b"child").hexdigest())
    (planted / "model" if planted.is_dir() else planted).write_bytes(b"planted")
    plant(planted)
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    with pytest.raises((InputError, PermissionError), match=match), process_disk_cache().entry("child", write):
        raise AssertionError("what was planted is loaded")
    assert (planted / "model" if planted.is_dir() else planted).read_bytes() == b"planted"


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only the administrator can give files away")
def test_a_cache_that_another_user_made_first_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cache" / "entries").mkdir(parents=True, mode=0o777)
    os.chown(tmp_path / "cache", 54321, 54321)
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    with pytest.raises(InputError, match=r"cannot be kept in .*/cache \(.*/cache belongs to another user\)"):
        process_disk_cache()


def test_a_lock_that_is_held_for_ever_ends_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache(tmp_path, MB)
    monkeypatch.setattr(disk_cache, "_LONGEST_LOCK", 0.05)
    asking = DiskCache(tmp_path, MB)
    match = r"^another process has held .*\.lock for 0 s; end it, or clear the cache$"
    with cache.entry("child", write), pytest.raises(ChildUnavailable, match=match), asking.entry("child", write):
        pass
