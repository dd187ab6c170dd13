"""A fork in the middle of anything: every lock, pool, future, queue and thread of the package is known, and tried."""

import ast
import functools
import gc
import importlib
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from forks import SECONDS, held_elsewhere, in_a_fork, running_elsewhere
from logged_rows import answered, frame_of, settings_in
from parsed_files import parsed
from places import ROOT
from sklearn.svm import SVR
from tiny_trainings import tiny

import metamodel
from metamodel.bundle import codecs
from metamodel.bundle.model import MetaModel
from metamodel.bundle.rollout.aside import Aside
from metamodel.bundle.rollout.shadow import Shadow
from metamodel.common import byte_cache, temp_dirs, time_limit
from metamodel.common.byte_cache import ByteCache, process_cache
from metamodel.common.temp_dirs import scratch_directory
from metamodel.exceptions import ChallengerFailed
from metamodel.flavor import load
from metamodel.flavor.remote import connections, disk_cache, endpoint, http_hook, throttle
from metamodel.flavor.remote.disk_cache import process_disk_cache
from metamodel.flavor.remote.endpoint import Breaker
from metamodel.flavor.remote.rate_limit import RateLimiter
from metamodel.prediction.answer_form import PredictOptions
from metamodel.prediction.answers import Answers
from metamodel.prediction_log import process_log
from metamodel.prediction_log.log_writer import PredictionLog

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

PACKAGE = ROOT / "metamodel"

_FROM = ("threading", "queue", "concurrent.futures", "multiprocessing", "filelock", "asyncio", "_thread")

_FORGOTTEN = "made anew by the ForkLock beside it"
_OF_A_CALL = "of one call, which a fork in another thread does not go on with"
_OF_A_SERVER = "of a server's worker, which forks nothing once it has threads"
_FILE = "a lock of a file: who holds it is another process, or this one's parent, and lets go of it"
_THREAD = "a thread for itself, for whose end nobody in the new process waits"

# Where the package makes something that a fork could leave locked, or waiting; and why none does.
KNOWN = {
    "bundle/prefetch.py look_ahead": _OF_A_CALL,
    "bundle/rollout/aside.py _Worker.__init__": _FORGOTTEN,
    "bundle/rollout/aside.py _Worker.begin": _OF_A_CALL,
    "bundle/rollout/shadow.py Shadow._forget": _FORGOTTEN,
    "bundle/rollout/shadow.py Shadow.offer": _THREAD,
    "bundle/shard_reader.py ShardReader.__init__": "its connections know the process that opened them",
    "bundle/writer.py _lock": _FILE,
    "bundle/writer.py finish_bundle": _OF_A_CALL,
    "common/background.py Background.__init__": _OF_A_CALL,
    "common/byte_cache.py ByteCache.get": _FORGOTTEN,
    "common/fork_lock.py ForkLock.__init__": "what all others stand on",
    "common/fork_lock.py ForkLock.after_fork": "what all others stand on",
    "common/fork_lock.py _Gate.start_anew": "what all others stand on",
    "common/fork_lock.py _free_cached_properties": "what all others stand on",
    "common/temp_dirs.py OwnedDirectory.__init__": _FILE,
    "common/temp_dirs.py sweep": _FILE,
    "common/time_limit.py _Limit.__init__": "a forked process knows that its timer is elsewhere",
    "common/traces.py _Silence.__init__": "each thread has its own",
    "flavor/remote/disk_cache.py DiskCache._lock_of": _FILE,
    "flavor/remote/endpoint.py _executor": _FORGOTTEN,
    "flavor/remote/rate_limit.py MachineTurns._locked": _FILE,
    "flavor/remote/server_check.py server_problem": _THREAD,
    "lineage/parquet_folders.py _the_only_writer": _FILE,
    "prediction/stacks/threads.py on_ranges": _OF_A_CALL,
    "prediction_log/log_writer.py PredictionLog._forget": _FORGOTTEN,
    "prediction_log/log_writer.py PredictionLog._put": _THREAD,
    "scoring/spark_worker.py _fetch_once": _FILE,
    "serving/app.py Service.__init__": _OF_A_SERVER,
    "serving/body_reader.py _Catch": "each thread has its own",
    "serving/reader_pool.py ReaderPool.__init__": _OF_A_SERVER,
    "serving/refresh.py AliasWatch": _OF_A_SERVER,
    "serving/refresh.py AliasWatch.__init__": _OF_A_SERVER,
    "tracking/children/log_all.py log_groups": _OF_A_CALL,
    "tracking/pack_children.py _fetched": _OF_A_CALL,
    "tracking/references/check_children.py check_children": _OF_A_CALL,
    "training/engines/joblib_pool.py _end_with": _THREAD,
    "training/engines/spark/forked.py _survived": "a pipe to the process that is forked for it",
}


class _Sites(ast.NodeVisitor):
    """What a module calls, inherits from and decorates with: dotted names, by the function or class that does so."""

    def __init__(self) -> None:
        self.sites: set[tuple[str, str]] = set()
        self._scopes: list[str] = []
        self._names: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        self._names |= {(name.asname or name.name): name.name for name in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._names |= {(name.asname or name.name): f"{node.module}.{name.name}" for name in node.names}

    def visit_Call(self, node: ast.Call) -> None:
        self._note(node.func)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._inside(node, node.decorator_list)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside(node, node.bases)

    def _inside(self, node: Any, also: list[ast.expr]) -> None:
        self._scopes.append(node.name)
        for expression in also:
            self._note(expression)
        self.generic_visit(node)
        self._scopes.pop()

    def _note(self, expression: ast.expr) -> None:
        if isinstance(expression, ast.Name | ast.Attribute):
            name, dot, rest = ast.unparse(expression).partition(".")
            self.sites.add((f"{self._names.get(name, name)}{dot}{rest}", ".".join(self._scopes[:2])))


@functools.cache
def _all_sites() -> list[tuple[str, str]]:
    found = []
    for file, tree in parsed(sorted(PACKAGE.rglob("*.py"))).items():
        visitor = _Sites()
        visitor.visit(tree)
        found += [(name, f"{file.relative_to(PACKAGE)} {site}".strip()) for name, site in visitor.sites]
    return found


def sites(wanted: Callable[[str], bool]) -> set[str]:
    return {site for name, site in _all_sites() if wanted(name)}


def _waits(name: str) -> bool:
    """Whether a dotted name is a class of locks, events, queues, threads, pools or futures."""
    module, _, last = name.rpartition(".")
    return module.startswith(_FROM) and (last == "local" or last[:1].isupper()) and last != "Timeout"


def test_every_lock_pool_queue_and_thread_of_the_package_is_known():
    assert sites(_waits) == set(KNOWN)


def test_what_is_computed_once_has_no_lock_that_a_fork_could_leave_locked():
    """A cached property of 3.11 has one, which is made anew in the classes of a module; cached functions have none."""
    assert isinstance(functools._lru_cache_wrapper, type)  # the one that is written in Python takes a lock
    for site in sites(lambda name: name == "functools.cached_property"):
        file, _, scope = site.partition(" ")
        module = importlib.import_module(f"metamodel.{file.removesuffix('.py').replace('/', '.')}")
        assert isinstance(vars(module).get(scope.partition(".")[0]), type), site


# --- every lock, held by another thread at the moment of the fork

_Held = tuple[Any, Callable[[], object]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("forks") / "bundle"
    metamodel.train(tiny(4), "group", "y", SVR(), holdout=0, n_jobs=1, output_dir=place)
    return place


@pytest.fixture(autouse=True)
def own_disk_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("METAMODEL_DISK_CACHE", str(tmp_path / "children"))
    monkeypatch.setattr(disk_cache, "_cache", None)
    yield
    if disk_cache._cache is not None:
        disk_cache._cache.close()


def answers(model: MetaModel) -> bool:
    return bool((model.predict(pd.DataFrame({"group": [0, 1, 2, 3], "x": 1.0}))["status"] == "child").all())


def _model(_: Path, bundle: Path) -> _Held:
    model = MetaModel(bundle, ByteCache(2**20))
    return model._lock, lambda: answers(model) and model.stats()


def _bundle(_: Path, bundle: Path) -> _Held:
    model = MetaModel(bundle, ByteCache(2**20))
    return model.bundle._lock, lambda: answers(model)


def _byte_cache(_: Path, bundle: Path) -> _Held:
    cache = ByteCache(2**20)
    return cache._lock, lambda: answers(MetaModel(bundle, cache))


def _log(folder: Path, _: Path) -> _Held:
    log = PredictionLog(settings_in(folder / "log"))

    def write() -> bool:
        log.put(answered(frame_of(3)))
        log.close(SECONDS)
        return log.counts == (3, 0)

    return log._lock, write


def _shadow(_: Path, bundle: Path) -> _Held:
    model, asked = MetaModel(bundle, ByteCache(2**20)), threading.Event()

    def ask(read: Any, options: PredictOptions) -> Answers:
        asked.set()
        return model._answer(read, options)

    shadow = Shadow(ask, seconds=0)
    read = model.route.read(pd.DataFrame({"group": [0], "x": 1.0}))
    return shadow._lock, lambda: shadow.offer(read, PredictOptions()) and asked.wait(SECONDS)


def _aside(_: Path, __: Path) -> _Held:
    aside = Aside(threads=1)
    return aside._lock, lambda: aside.call(lambda: 7, SECONDS) == 7


def _breaker(_: Path, __: Path) -> _Held:
    breaker = Breaker()
    return breaker._lock, breaker.lets_through


def _endpoints(_: Path, __: Path) -> _Held:
    return endpoint._lock, lambda: endpoint._executor().submit(lambda: 7).result(SECONDS) == 7


def _requests(_: Path, __: Path) -> _Held:
    def count() -> bool:
        before = http_hook.requests_sent()
        http_hook._sent.add()
        return http_hook.requests_sent() == before + 1

    return http_hook._sent._lock, count


def _rate(_: Path, __: Path) -> _Held:
    limiter = RateLimiter(1000.0)
    return limiter._lock, lambda: limiter.wait() >= 0


def _codecs(_: Path, __: Path) -> _Held:
    codec = codecs.get_codec("cloudpickle")
    blob = codec.dumps([1.0] * 10)
    return codecs._tracing, lambda: codecs.resident_factor(codec, blob) >= 1 and not tracemalloc.is_tracing()


def _download(_: Path, bundle: Path) -> _Held:
    return load._download_lock, lambda: load.forget_download(MetaModel(bundle)) is None


HELD: dict[str, Callable[[Path, Path], _Held]] = {
    "bundle/codecs.py": _codecs,
    "bundle/model.py MetaModel.__init__": _model,
    "bundle/reader.py Bundle.__init__": _bundle,
    "bundle/rollout/aside.py Aside.__init__": _aside,
    "bundle/rollout/shadow.py Shadow.__init__": _shadow,
    "common/byte_cache.py": lambda *_: (byte_cache._process_lock, lambda: process_cache().stats()),
    "common/byte_cache.py ByteCache.__init__": _byte_cache,
    "common/temp_dirs.py": lambda *_: (temp_dirs._guard, lambda: scratch_directory("forks").is_dir()),
    "flavor/load.py": _download,
    "flavor/remote/connections.py": lambda *_: (connections._lock, connections.store_session),
    "flavor/remote/disk_cache.py": lambda *_: (disk_cache._lock, lambda: process_disk_cache().size == 0),
    "flavor/remote/endpoint.py": _endpoints,
    "flavor/remote/endpoint.py Breaker.__init__": _breaker,
    "flavor/remote/http_hook.py _Counter.__init__": _requests,
    "flavor/remote/rate_limit.py RateLimiter.__init__": _rate,
    "flavor/remote/throttle.py": lambda *_: (throttle._lock, lambda: throttle.throttle_for("forks", 5.0, 1.0)),
    "prediction_log/log_writer.py PredictionLog.__init__": _log,
    "prediction_log/process_log.py": lambda folder, _: (
        process_log._lock,
        lambda: process_log.process_log(settings_in(folder / "log")).counts == (0, 0),
    ),
}


def test_every_lock_is_tried():
    assert sites(lambda name: name == "metamodel.common.fork_lock.ForkLock") == HELD.keys()


@pytest.mark.parametrize("site", HELD)
def test_what_a_lock_guards_can_be_used_after_a_fork_while_another_thread_held_it(
    site: str, tmp_path: Path, bundle: Path
):
    lock, use = HELD[site](tmp_path, bundle)
    with held_elsewhere(lock):
        assert lock.locked()
        assert in_a_fork(lambda: bool(use()))
    assert use()


# --- in the middle of what takes longer


def test_a_limit_that_strikes_while_its_thread_forks_does_not_hold_the_new_process(monkeypatch: pytest.MonkeyPatch):
    striking, release = threading.Event(), threading.Event()

    def strike(*_: object) -> None:
        striking.set()
        release.wait(SECONDS)

    def leaves_the_block(limit: Any) -> bool:
        limit.__exit__(None, None, None)
        return True

    monkeypatch.setattr(time_limit, "_raise_in", strike)
    limit = time_limit.time_limit(0.01)
    limit.__enter__()
    striking.wait(SECONDS)
    monkeypatch.setattr(time_limit, "_raise_in", lambda *_: None)
    left = in_a_fork(lambda: leaves_the_block(limit))
    release.set()
    limit.__exit__(None, None, None)
    assert left


def test_a_challenger_whose_threads_all_hang_answers_in_the_new_process():
    aside = Aside(threads=1)

    def hang(reached: threading.Event, release: threading.Event) -> None:
        aside.call(lambda: (reached.set(), release.wait(SECONDS)), SECONDS)

    with running_elsewhere(hang):
        assert in_a_fork(lambda: aside.call(lambda: 7, SECONDS) == 7)
        with pytest.raises(ChallengerFailed, match="busy"):
            aside.call(lambda: 7, 0.0)


def test_endpoints_whose_threads_are_all_waiting_are_asked_in_the_new_process():
    started = threading.Semaphore(0)
    with running_elsewhere(lambda reached, release: (reached.set(), release.wait(SECONDS))) as release:
        waiting = [
            endpoint._executor().submit(lambda: (started.release(), release.wait(SECONDS)))
            for _ in range(endpoint._THREADS)
        ]
        for _ in waiting:
            started.acquire()
        queued = endpoint._executor().submit(lambda: 7)
        assert in_a_fork(lambda: endpoint._executor().submit(lambda: 7).result(SECONDS) == 7)
        assert not queued.done()
    assert queued.result(SECONDS) == 7


def test_a_child_that_another_thread_is_fetching_is_waited_for_in_the_new_process(tmp_path: Path):
    """Its files are everybody's: the new process waits for the lock of the parent, who goes on."""
    cache = process_disk_cache()

    def fetch(reached: threading.Event, release: threading.Event) -> None:
        def fill(directory: Path) -> None:
            (directory / "of").write_text("the parent")
            reached.set()
            release.wait(SECONDS)

        with cache.entry("child", fill):
            pass

    def never(_: Path) -> None:
        raise AssertionError

    def read() -> str:
        with process_disk_cache().entry("child", never) as directory:
            return (directory / "of").read_text()

    with running_elsewhere(fetch) as release:
        threading.Timer(0.2, release.set).start()
        assert in_a_fork(lambda: read() == "the parent")


def test_a_child_that_another_thread_is_unpickling_is_unpickled_in_the_new_process(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    """The fork waits for it, and not for ever."""
    monkeypatch.setattr("metamodel.common.fork_lock._LONGEST_WAIT", 0.2)
    model = MetaModel(bundle, ByteCache(2**20))
    loads, parent = model.bundle._codec.loads, os.getpid()

    with running_elsewhere(lambda reached, release: _slowly(model, loads, reached, release, monkeypatch, parent)):
        assert in_a_fork(lambda: answers(model))
    assert answers(model)


def _slowly(
    model: MetaModel, loads: Any, reached: threading.Event, release: threading.Event, monkeypatch: Any, parent: int
) -> None:
    def slow(blob: bytes) -> Any:
        if os.getpid() == parent:
            reached.set()
            release.wait(SECONDS)
        return loads(blob)

    monkeypatch.setattr(model.bundle._codec, "loads", slow, raising=False)
    assert answers(model)


# --- what is alive

# Fields of objects that hold one.
ALIVE = {
    "ForkLock._lock": "what all others stand on",
    "_Gate._changed": "what all others stand on",
    "OwnedDirectory._lock": _FILE,
    "PredictionLog._thread": _FORGOTTEN,
    "PredictionLog._wake": _FORGOTTEN,
    "Shadow._queue": _FORGOTTEN,
    "ShardReader._local": "its connections know the process that opened them",
    "_Connection._connection": "the shard reader asks which process opened it",
    "_Worker._asked": _FORGOTTEN,
    "metamodel.flavor.remote.connections._sessions": _FORGOTTEN,
    "metamodel.flavor.remote.endpoint._shared": _FORGOTTEN,
}


def _waits_in(value: Any) -> bool:
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    return any(str(type(part).__module__).startswith((*_FROM, "_queue", "requests", "urllib3", "sqlite3"))
               and not isinstance(part, type) for part in parts)  # fmt: skip


def _fields_that_wait(owner: Any) -> set[str]:
    kind = type(owner)
    of_a_session = kind.__module__ == connections.__name__  # which is made anew with all that it has
    if of_a_session or not str(kind.__module__).startswith("metamodel.") or not hasattr(owner, "__dict__"):
        return set()
    return {f"{kind.__qualname__}.{name}" for name, value in list(vars(owner).items()) if _waits_in(value)}


def test_no_object_of_the_package_holds_a_lock_of_others_that_is_not_known(tmp_path: Path, bundle: Path):
    """Beyond what the source shows: everything that the objects above, all alive at once, have among their fields."""
    of_others = gc.get_objects()  # kept, so that none of them gives its place in memory to one of ours
    not_ours = set(map(id, of_others))
    alive = [make(tmp_path, bundle) for make in HELD.values()]
    for _, use in alive:
        assert use()
    endpoint._session(False)
    everywhere, ours = set(), set()
    for module in [module for name, module in list(sys.modules.items()) if name.startswith("metamodel.")]:
        everywhere |= {f"{module.__name__}.{name}" for name, value in list(vars(module).items()) if _waits_in(value)}
    for owner in gc.get_objects():
        fields = _fields_that_wait(owner)
        everywhere |= fields
        ours |= fields if id(owner) not in not_ours else set()
    assert ours - set(ALIVE) == set()
    assert set(ALIVE) - everywhere == set()
